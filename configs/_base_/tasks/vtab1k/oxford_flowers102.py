"""VTAB-1K, natural: Flowers-102, 102 classes."""

_base_ = "../vtab1k.py"

data_root = "data/vtab-1k/oxford_flowers102"
data_preprocessor = dict(num_classes=102)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
