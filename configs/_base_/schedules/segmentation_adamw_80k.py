"""AdamW, 1,500 iterations of linear warm-up, then linear decay to 0: 80k iterations."""

_base_ = "segmentation_adamw_160k.py"

max_iters = 80_000
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, by_epoch=False, end=1500),
    dict(type="PolyLR", power=1.0, eta_min=0.0, by_epoch=False, begin=1500, end=max_iters),
]
train_cfg = dict(max_iters=max_iters, val_interval=8_000)
