"""VTAB-1K, natural: DTD, 47 classes."""

_base_ = "../vtab1k.py"

data_root = "data/vtab-1k/dtd"
data_preprocessor = dict(num_classes=47)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
