"""VTAB-1K, structured: KITTI distance, 4 classes."""

_base_ = "../vtab1k.py"

data_root = "data/vtab-1k/kitti"
data_preprocessor = dict(num_classes=4)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
