"""Photographs: CIFAR-10 at 32 px, 800 + 200 of its training images; 10 classes."""

_base_ = "../photo.py"

data_preprocessor = dict(num_classes=10)
metainfo = dict(
    classes=[
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]
)
source = dict(data_root="data/photo/cifar10", metainfo=metainfo)
train_dataloader = dict(dataset=source)
val_dataloader = dict(dataset=source)
test_dataloader = dict(dataset=source)
