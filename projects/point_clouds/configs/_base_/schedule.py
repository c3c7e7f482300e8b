"""AdamW and clipping as in DAPT's release; 10 epochs in place of 300, at 4 times the rate."""

_base_ = "../../../../configs/_base_/schedules/warmup_cosine.py"

optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=2e-3, weight_decay=0.05), clip_grad=dict(max_norm=10)
)
param_scheduler = [dict(**_base_.warmup, end=2), dict(**_base_.cosine, begin=2, end=10)]
train_cfg = dict(by_epoch=True, max_epochs=10)
test_cfg = dict()
val_cfg = None
