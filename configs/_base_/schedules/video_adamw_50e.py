"""AdamW, 1e-3 * batch / 256 for 8 GPUs x 16, weight decay 0.01; 50 epochs, 2 of warm-up."""

_base_ = "video_adamw_12e.py"

max_epochs = 50
param_scheduler = [
    dict(**_base_.warmup, end=2),
    dict(**_base_.cosine, begin=2, end=max_epochs),
]
train_cfg = dict(max_epochs=max_epochs, val_interval=5)
