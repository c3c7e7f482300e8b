"""VTAB-1K, structured: SmallNORB elevation, 9 classes."""

_base_ = "../vtab1k.py"

data_root = "data/vtab-1k/smallnorb_ele"
data_preprocessor = dict(num_classes=9)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
