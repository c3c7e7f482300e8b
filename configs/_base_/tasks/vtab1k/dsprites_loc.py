"""VTAB-1K, structured: dSprites location, 16 classes."""

_base_ = "../vtab1k.py"

data_root = "data/vtab-1k/dsprites_loc"
data_preprocessor = dict(num_classes=16)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
