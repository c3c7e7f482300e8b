"""DyT (MLP dispatch, r = 0.5) of the small ViT on real digits, with the paper's fixed target."""

_base_ = [
    "../../_base_/models/vit-mini-p4_fashion-mnist.py",
    "../../_base_/datasets/digits.py",
    "../../_base_/schedules/vtab_adamw_100e.py",
    "../../_base_/default_runtime.py",
]

# 10 epochs instead of 100, so that four methods fit into minutes on two cores. Two of warm-up:
# the first of its iterations has next to no learning rate, and few images make one an epoch.
max_epochs = 10
warmup_epochs = 2
param_scheduler = [
    dict(**_base_.warmup, end=warmup_epochs),
    dict(**_base_.cosine, begin=warmup_epochs, end=max_epochs),
]
train_cfg = dict(max_epochs=max_epochs, val_interval=2)
