"""Photographs under a short schedule: 8 epochs. The files in ``photo/`` are the five tasks.

The photo study (``projects/photo_study/``) chose the learning rates, for adapters, LoRA and DyT. A
step moves a dispatcher's logit by little, hence the dispatchers' higher rate. A DyT config adds
``opening`` to its ``custom_hooks``: its dispatchers start open, and reach the target at half time.
"""

_base_ = ["../datasets/photo.py", "../schedules/vtab_adamw_100e.py", "../default_runtime.py"]

max_epochs = 8
warmup_epochs = 1
param_scheduler = [
    dict(**_base_.warmup, end=warmup_epochs),
    dict(**_base_.cosine, begin=warmup_epochs, end=max_epochs),
]
optim_wrapper = dict(
    optimizer=dict(lr=3e-3),
    paramwise_cfg=dict(custom_keys={".dispatcher.": dict(lr_mult=40.0)}),
)
opening = dict(type="mmdyt.RateScheduleHook", end=0.5)
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
