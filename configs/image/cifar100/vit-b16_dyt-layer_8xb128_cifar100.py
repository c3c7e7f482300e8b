"""DyT that dispatches whole layers (r = 0.7) on CIFAR-100. Paper: 89.38 %."""

_base_ = "vit-b16_dyt_8xb128_cifar100.py"

model = dict(backbone=dict(dispatch="layer"), dyt=dict(target_rate=0.7))
