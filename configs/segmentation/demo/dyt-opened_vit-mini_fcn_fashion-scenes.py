"""DyT on composed scenes whose dispatchers start open, with the complete model and distillation."""

_base_ = "dyt_vit-mini_fcn_fashion-scenes.py"

model = dict(dyt=dict(complete_weight=1.0, distill_weight=1.0))
custom_hooks = [*_base_.custom_hooks, dict(type="mmdyt.RateScheduleHook")]
