"""DyT whose target falls from 1 to r while it trains, which short trainings need, on CIFAR-100."""

_base_ = "vit-b16_dyt_8xb128_cifar100.py"

custom_hooks = [*_base_.custom_hooks, dict(type="mmdyt.RateScheduleHook")]
