"""VTAB-1K, natural: CIFAR-100, 100 classes."""

_base_ = "../vtab1k.py"

data_root = "data/vtab-1k/cifar"
data_preprocessor = dict(num_classes=100)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
