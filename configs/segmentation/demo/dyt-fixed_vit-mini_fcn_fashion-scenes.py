"""DyT on composed scenes with the paper's recipe: a fixed target and the rate loss only."""

_base_ = "dyt_vit-mini_fcn_fashion-scenes.py"

model = dict(dyt=dict(complete_weight=0.0, distill_weight=0.0))
custom_hooks = _base_.custom_hooks[:-1]  # without the schedule of the target
