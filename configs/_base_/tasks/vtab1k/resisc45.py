"""VTAB-1K, specialised: RESISC45, 45 classes."""

_base_ = "../vtab1k.py"

data_root = "data/vtab-1k/resisc45"
data_preprocessor = dict(num_classes=45)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
