"""FGVC: CUB-200-2011, 200 classes."""

_base_ = "../fgvc.py"

data_preprocessor = dict(num_classes=200)
source = dict(data_root="data/fgvc/cub", data_prefix="images")
train_dataloader = dict(dataset=source)
val_dataloader = dict(dataset=source)
test_dataloader = dict(dataset=source)
