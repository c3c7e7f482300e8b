"""VTAB-1K, structured: CLEVR distance, 6 classes."""

_base_ = "../vtab1k.py"

data_root = "data/vtab-1k/clevr_dist"
data_preprocessor = dict(num_classes=6)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
