"""Photographs: clothing photographs, turned counter-clockwise; 4 classes."""

_base_ = "../photo.py"

data_preprocessor = dict(num_classes=4)
metainfo = dict(classes=["0", "90", "180", "270"])
source = dict(data_root="data/photo/photo_orientation", metainfo=metainfo)
train_dataloader = dict(dataset=source)
val_dataloader = dict(dataset=source)
test_dataloader = dict(dataset=source)
