"""DyT (MLP dispatch, r = 0.5) of the small ViT on moving digits; ``make demo-video`` runs it."""

_base_ = [
    "../../_base_/models/video_vit-mini-p4.py",
    "../../_base_/datasets/video_motion.py",
    "../../_base_/schedules/video_adamw_12e.py",
    "../../_base_/video_runtime.py",
]

# 400 clips are few: small batches and a high learning rate.
optim_wrapper = dict(optimizer=dict(lr=2e-3))
auto_scale_lr = dict(base_batch_size=20, enable=False)
train_cfg = dict(val_interval=3)
