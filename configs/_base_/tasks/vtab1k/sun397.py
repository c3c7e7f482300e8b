"""VTAB-1K, natural: SUN397, 397 classes."""

_base_ = "../vtab1k.py"

data_root = "data/vtab-1k/sun397"
data_preprocessor = dict(num_classes=397)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
