"""Oxford-IIIT Pets, the whole set: 37 classes."""

_base_ = ["../datasets/image_224.py", "../schedules/full_adamw_100e.py", "../default_runtime.py"]

data_preprocessor = dict(num_classes=37)
source = dict(type="OxfordIIITPet", data_root="data/pets")
train_dataloader = dict(dataset=dict(**source, split="trainval"))
val_dataloader = dict(dataset=dict(**source, split="test"))
test_dataloader = val_dataloader
