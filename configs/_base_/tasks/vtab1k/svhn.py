"""VTAB-1K, natural: SVHN, 10 classes."""

_base_ = "../vtab1k.py"

data_root = "data/vtab-1k/svhn"
data_preprocessor = dict(num_classes=10)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
