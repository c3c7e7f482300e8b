"""DyT (MLP dispatch, r = 0.5, d = 8) of ViT-B/16 on VTAB-1K's CIFAR task. Not run here."""

_base_ = [
    "../../_base_/tuning/dyt.py",
    "../../_base_/datasets/vtab1k.py",
    "../../_base_/schedules/vtab_adamw_100e.py",
    "../../_base_/default_runtime.py",
]

data_root = "data/vtab-1k/cifar"
model = dict(backbone=dict(adapter=dict(bottleneck_dims=8)), head=dict(num_classes=100))
data_preprocessor = dict(num_classes=100)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))
