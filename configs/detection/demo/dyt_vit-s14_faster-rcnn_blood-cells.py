"""DyT (MLP dispatch, r = 0.5) on blood cells; ``make demo-det`` runs it.

So short a training needs the complete model and distillation too, as in segmentation's demo.
"""

_base_ = "adaptformer_vit-s14_faster-rcnn_blood-cells.py"

model = dict(
    backbone=dict(dispatch="mlp"),
    dyt=dict(
        _delete_=True, target_rate=0.5, rate_weight=2.0, complete_weight=1.0, distill_weight=1.0
    ),
)
custom_hooks = [*_base_.custom_hooks, dict(type="mmdyt.RateScheduleHook", end=0.5)]
