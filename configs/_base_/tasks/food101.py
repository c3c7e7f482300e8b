"""Food-101, the whole set: 101 classes."""

_base_ = ["../datasets/image_224.py", "../schedules/full_adamw_100e.py", "../default_runtime.py"]

data_preprocessor = dict(num_classes=101)
source = dict(type="Food101", data_root="data/food101")
train_dataloader = dict(dataset=dict(**source, split="train"))
val_dataloader = dict(dataset=dict(**source, split="test"))
test_dataloader = val_dataloader
