"""AdamW, 1e-3 * batch / 256 for 8 GPUs x 16, weight decay 0.01; 12 epochs, 2 of warm-up."""

_base_ = "warmup_cosine.py"

max_epochs = 12
warmup_epochs = 2
batch_size = 8 * 16
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-3 * batch_size / 256, betas=(0.9, 0.999), weight_decay=0.01),
)
param_scheduler = [
    dict(**_base_.warmup, end=warmup_epochs),
    dict(**_base_.cosine, begin=warmup_epochs, end=max_epochs),
]
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
auto_scale_lr = dict(base_batch_size=batch_size, enable=False)
