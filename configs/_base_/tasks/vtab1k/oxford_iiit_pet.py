"""VTAB-1K, natural: Pets, 37 classes."""

_base_ = "../vtab1k.py"

data_root = "data/vtab-1k/oxford_iiit_pet"
data_preprocessor = dict(num_classes=37)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
