"""Photographs: pieces of clothing as their owners photographed them; 10 classes."""

_base_ = "../photo.py"

data_preprocessor = dict(num_classes=10)
metainfo = dict(
    classes=[
        "dress",
        "hat",
        "longsleeve",
        "outwear",
        "pants",
        "shirt",
        "shoes",
        "shorts",
        "skirt",
        "t-shirt",
    ]
)
source = dict(data_root="data/photo/clothing", metainfo=metainfo)
train_dataloader = dict(dataset=source)
val_dataloader = dict(dataset=source)
test_dataloader = dict(dataset=source)
