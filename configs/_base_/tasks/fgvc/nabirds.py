"""FGVC: NABirds, 555 classes."""

_base_ = "../fgvc.py"

data_preprocessor = dict(num_classes=555)
source = dict(data_root="data/fgvc/nabirds", data_prefix="images")
train_dataloader = dict(dataset=source)
val_dataloader = dict(dataset=source)
test_dataloader = dict(dataset=source)
