"""DyT: adapters, and MLPs of active tokens only."""

_base_ = "adaptformer.py"

model = dict(
    backbone=dict(
        dispatch="mlp",
        dispatcher=dict(type="mmdyt.TokenDispatcher", tau=5.0, threshold=0.5),
    ),
    dyt=dict(target_rate=0.5, rate_weight=2.0, complete_weight=1.0, distill_weight=1.0),
)
