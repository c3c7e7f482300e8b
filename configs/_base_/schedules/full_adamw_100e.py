"""The full sets' schedule: AdamW, 20 epochs of linear warm-up, cosine to 0.

The learning rate is 1e-3 * 1024 / 256 for 8 GPUs x 128 images;
``--auto-scale-lr`` adapts it to other totals.
"""

_base_ = "warmup_cosine.py"

max_epochs = 100
warmup_epochs = 20
optim_wrapper = dict(optimizer=dict(type="AdamW", lr=4e-3, weight_decay=0.01))
param_scheduler = [
    dict(**_base_.warmup, end=warmup_epochs),
    dict(**_base_.cosine, begin=warmup_epochs, end=max_epochs),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=5)
auto_scale_lr = dict(base_batch_size=1024, enable=False)
