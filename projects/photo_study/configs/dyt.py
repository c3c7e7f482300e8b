"""DyT as the photo study tunes it: dispatchers start open and close to the target rate."""

_base_ = "dyt_fixed.py"

custom_hooks = [*_base_.custom_hooks, dict(type="mmdyt.RateScheduleHook")]
