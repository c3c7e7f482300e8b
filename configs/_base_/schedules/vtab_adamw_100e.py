"""VTAB-1K's schedule: AdamW, 10 epochs of linear warm-up, cosine to 0."""

_base_ = "warmup_cosine.py"

max_epochs = 100
warmup_epochs = 10
optim_wrapper = dict(optimizer=dict(type="AdamW", lr=1e-3, weight_decay=1e-4))
param_scheduler = [
    dict(**_base_.warmup, end=warmup_epochs),
    dict(**_base_.cosine, begin=warmup_epochs, end=max_epochs),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=10)
auto_scale_lr = dict(base_batch_size=64, enable=False)
