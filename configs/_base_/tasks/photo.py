"""Photographs under a short schedule: 8 epochs. The files in ``photo/`` are the five tasks."""

_base_ = ["../datasets/photo.py", "../schedules/vtab_adamw_100e.py", "../default_runtime.py"]

max_epochs = 8
warmup_epochs = 1
param_scheduler = [
    dict(**_base_.warmup, end=warmup_epochs),
    dict(**_base_.cosine, begin=warmup_epochs, end=max_epochs),
]
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
