"""VTAB-1K, specialised: Patch Camelyon, 2 classes."""

_base_ = "../vtab1k.py"

data_root = "data/vtab-1k/patch_camelyon"
data_preprocessor = dict(num_classes=2)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
