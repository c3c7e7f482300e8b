"""CIFAR-100, the whole set: 100 classes."""

_base_ = ["../datasets/array_224.py", "../schedules/full_adamw_100e.py", "../default_runtime.py"]

data_preprocessor = dict(num_classes=100)
source = dict(type="CIFAR100", data_root="data/cifar100")
train_dataloader = dict(dataset=dict(**source, split="train"))
val_dataloader = dict(dataset=dict(**source, split="test"))
test_dataloader = val_dataloader
