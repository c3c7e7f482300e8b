"""AdaptFormer (d = 64) of ViT-B/16 on CIFAR-100. Not run here; paper: 92.03 %."""

_base_ = "vit-base_dyt_8xb128_cifar100.py"

model = dict(backbone=dict(dispatch=None))
