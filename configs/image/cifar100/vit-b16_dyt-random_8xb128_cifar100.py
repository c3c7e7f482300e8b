"""DyT with random instead of learned dispatch (rate 0.5) on CIFAR-100."""

_base_ = "vit-b16_dyt_8xb128_cifar100.py"

model = dict(backbone=dict(dispatcher=dict(_delete_=True, type="mmdyt.RandomDispatcher", rate=0.5)))
