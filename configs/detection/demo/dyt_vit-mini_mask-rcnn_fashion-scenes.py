"""DyT (MLP dispatch, r = 0.5) on composed scenes; ``make demo-det`` runs it."""

_base_ = "adaptformer_vit-mini_mask-rcnn_fashion-scenes.py"

model = dict(
    backbone=dict(dispatch="mlp"),
    dyt=dict(
        _delete_=True, target_rate=0.5, rate_weight=2.0, complete_weight=1.0, distill_weight=1.0
    ),
)
custom_hooks = [*_base_.custom_hooks, dict(type="mmdyt.RateScheduleHook", end=0.5)]
