"""Photographs: blood under the microscope; the cell in the middle counts; 3 classes."""

_base_ = "../photo.py"

data_preprocessor = dict(num_classes=3)
metainfo = dict(classes=["platelet", "red", "white"])
source = dict(data_root="data/photo/blood_cells", metainfo=metainfo)
train_dataloader = dict(dataset=source)
val_dataloader = dict(dataset=source)
test_dataloader = dict(dataset=source)
