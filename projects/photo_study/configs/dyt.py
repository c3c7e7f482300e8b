"""DyT: AdaptFormer's adapters, and MLPs of active tokens only."""

_base_ = "adaptformer.py"

model = dict(
    backbone=dict(dispatch="mlp", dispatcher=dict(type="mmdyt.TokenDispatcher")),
    dyt=dict(target_rate=0.5),
)
