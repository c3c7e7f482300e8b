"""FGVC-Aircraft, the whole set: 100 classes."""

_base_ = ["../datasets/image_224.py", "../schedules/full_adamw_100e.py", "../default_runtime.py"]

data_preprocessor = dict(num_classes=100)
source = dict(type="FGVCAircraft", data_root="data/aircraft")
train_dataloader = dict(dataset=dict(**source, split="trainval"))
val_dataloader = dict(dataset=dict(**source, split="test"))
test_dataloader = val_dataloader
