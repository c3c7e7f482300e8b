"""VTAB-1K, structured: SmallNORB azimuth, 18 classes."""

_base_ = "../vtab1k.py"

data_root = "data/vtab-1k/smallnorb_azi"
data_preprocessor = dict(num_classes=18)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
