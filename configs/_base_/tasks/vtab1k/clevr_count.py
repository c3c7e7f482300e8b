"""VTAB-1K, structured: CLEVR count, 8 classes."""

_base_ = "../vtab1k.py"

data_root = "data/vtab-1k/clevr_count"
data_preprocessor = dict(num_classes=8)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
