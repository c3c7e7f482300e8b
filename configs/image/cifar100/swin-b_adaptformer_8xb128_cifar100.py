"""AdaptFormer (d = 64) of Swin-B on CIFAR-100."""

_base_ = "swin-b_dyt_8xb128_cifar100.py"

model = dict(backbone=dict(dispatch=None), dyt=None)
