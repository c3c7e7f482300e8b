"""SVHN, the whole set: 10 classes."""

_base_ = ["../datasets/array_224.py", "../schedules/full_adamw_100e.py", "../default_runtime.py"]

data_preprocessor = dict(num_classes=10)
source = dict(type="mmdyt.SVHN", data_root="data/svhn")
train_dataloader = dict(dataset=dict(**source, split="train"))
val_dataloader = dict(dataset=dict(**source, split="test"))
test_dataloader = val_dataloader
