"""DyT of the ViT-S/14 for short trainings: the rate loss weighs 30 instead of the paper's 2."""

_base_ = ["vit-s14_saliency-tuned.py", "../dispatch.py"]

model = dict(
    tuning="peft",
    backbone=dict(
        adapter=dict(_delete_=True, type="mmdyt.BottleneckAdapter", bottleneck_dims=16, scale=1.0),
        **_base_.dispatch,
    ),
    dyt=_base_.dyt | dict(rate_weight=30.0),
)
