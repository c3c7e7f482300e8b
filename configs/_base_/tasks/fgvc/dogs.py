"""FGVC: Stanford Dogs, 120 classes."""

_base_ = "../fgvc.py"

data_preprocessor = dict(num_classes=120)
source = dict(data_root="data/fgvc/dogs", data_prefix="Images")
train_dataloader = dict(dataset=source)
val_dataloader = dict(dataset=source)
test_dataloader = dict(dataset=source)
