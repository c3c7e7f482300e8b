"""DyT (MLP dispatch, r = 0.5) of the small ViT on moving digits; ``make demo-video`` runs it."""

_base_ = [
    "../../_base_/models/video_vit-mini-p4.py",
    "../../_base_/datasets/video_motion.py",
    "../../_base_/schedules/video_adamw_12e.py",
    "../../_base_/video_runtime.py",
]

# 320 clips are few: small batches and a high learning rate (projects/recipe_study).
max_epochs = 10
warmup_epochs = 1
optim_wrapper = dict(optimizer=dict(lr=1e-2))
auto_scale_lr = dict(base_batch_size=16, enable=False)
param_scheduler = [
    dict(**_base_.warmup, end=warmup_epochs),
    dict(**_base_.cosine, begin=warmup_epochs, end=max_epochs),
]
train_cfg = dict(max_epochs=max_epochs, val_interval=5)
default_hooks = dict(logger=dict(interval=10))
