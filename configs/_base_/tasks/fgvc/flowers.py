"""FGVC: Oxford Flowers, 102 classes."""

_base_ = "../fgvc.py"

data_preprocessor = dict(num_classes=102)
source = dict(data_root="data/fgvc/flowers")
train_dataloader = dict(dataset=source)
val_dataloader = dict(dataset=source)
test_dataloader = dict(dataset=source)
