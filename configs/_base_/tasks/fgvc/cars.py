"""FGVC: Stanford Cars, 196 classes."""

_base_ = "../fgvc.py"

data_preprocessor = dict(num_classes=196)
source = dict(data_root="data/fgvc/cars")
train_dataloader = dict(dataset=source)
val_dataloader = dict(dataset=source)
test_dataloader = dict(dataset=source)
