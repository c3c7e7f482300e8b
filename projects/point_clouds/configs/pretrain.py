"""Pre-training of the small encoder: digits 0 to 4, with their labels, from scratch."""

_base_ = "full.py"

model = dict(backbone=dict(init_cfg=None))
train_dataloader = dict(dataset=dict(digits=[0, 1, 2, 3, 4]))
test_dataloader = dict(dataset=dict(digits=[0, 1, 2, 3, 4]))
param_scheduler = [dict(**_base_.warmup, end=2), dict(**_base_.cosine, begin=2, end=20)]
train_cfg = dict(max_epochs=20)
