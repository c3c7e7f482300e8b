"""DyT that dispatches attention only (r = 0.5) on CIFAR-100. Paper: 84.58 %."""

_base_ = "vit-b16_dyt_8xb128_cifar100.py"

model = dict(backbone=dict(dispatch="attn"))
