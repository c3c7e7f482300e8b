"""DyT of the small ViT on real digits, with dispatchers that start open."""

_base_ = "vit-mini_dyt_digits.py"

custom_hooks = [*_base_.custom_hooks, dict(type="mmdyt.RateScheduleHook")]
