"""Stanford Cars, the whole set: 196 classes."""

_base_ = ["../datasets/image_224.py", "../schedules/full_adamw_100e.py", "../default_runtime.py"]

data_preprocessor = dict(num_classes=196)
source = dict(type="StanfordCars", data_root="data/stanford_cars")
train_dataloader = dict(dataset=dict(**source, split="train"))
val_dataloader = dict(dataset=dict(**source, split="test"))
test_dataloader = val_dataloader
