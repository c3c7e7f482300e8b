"""Photographs: the digits of sign language, a hand each; 10 classes."""

_base_ = "../photo.py"

data_preprocessor = dict(num_classes=10)
metainfo = dict(classes=["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"])
source = dict(data_root="data/photo/sign_digits", metainfo=metainfo)
train_dataloader = dict(dataset=source)
val_dataloader = dict(dataset=source)
test_dataloader = dict(dataset=source)
