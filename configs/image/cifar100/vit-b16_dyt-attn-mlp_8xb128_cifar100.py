"""DyT that dispatches attention and MLP (r = 0.7) on CIFAR-100. Paper: 90.03 %."""

_base_ = "vit-b16_dyt_8xb128_cifar100.py"

model = dict(backbone=dict(dispatch="attn_mlp"), dyt=dict(target_rate=0.7))
