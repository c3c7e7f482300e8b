"""VTAB-1K, specialised: Diabetic Retinopathy, 5 classes."""

_base_ = "../vtab1k.py"

data_root = "data/vtab-1k/diabetic_retinopathy"
data_preprocessor = dict(num_classes=5)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
