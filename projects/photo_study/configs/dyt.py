"""DyT as the photo study tunes it: dispatchers start open and close to the target rate.

A step of AdamW moves a dispatcher's logit by about the learning rate times the L1 norm of its
token, which is small in this ViT. Hence the dispatchers' higher rate.
"""

_base_ = "dyt_fixed.py"

custom_hooks = [*_base_.custom_hooks, dict(type="mmdyt.RateScheduleHook", end=0.5)]
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={".dispatcher.": dict(lr_mult=40.0)}))
