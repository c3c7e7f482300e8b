"""The parts of an epoch schedule: linear warm-up from 0, half a cosine to 0.

A schedule gives each its epochs: ``dict(**_base_.warmup, end=10)``.
"""

warmup = dict(type="LinearLR", start_factor=1e-6, by_epoch=True, convert_to_iter_based=True)
cosine = dict(type="CosineAnnealingLR", eta_min=0, by_epoch=True, convert_to_iter_based=True)
val_cfg = dict()
test_cfg = dict()
