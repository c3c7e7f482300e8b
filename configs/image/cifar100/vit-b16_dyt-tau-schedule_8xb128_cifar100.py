"""DyT whose temperature falls from 5 to 0.1 (paper table 9) on CIFAR-100."""

_base_ = "vit-b16_dyt_8xb128_cifar100.py"

custom_hooks = [*_base_.custom_hooks, dict(type="mmdyt.TauScheduleHook", begin=5.0, end=0.1)]
