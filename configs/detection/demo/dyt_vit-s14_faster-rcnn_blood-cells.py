"""DyT (MLP dispatch, r = 0.5) on blood cells; ``make demo-det`` runs it."""

_base_ = "adaptformer_vit-s14_faster-rcnn_blood-cells.py"

model = dict(
    backbone=dict(dispatch="mlp"), dyt=dict(_delete_=True, target_rate=0.5, rate_weight=2.0)
)
custom_hooks = [*_base_.custom_hooks, dict(type="mmdyt.RateScheduleHook")]
