"""AdaptFormer on composed scenes: the adapters of DyT, every token computed."""

_base_ = "linear_vit-mini_mask-rcnn_fashion-scenes.py"

model = dict(
    backbone=dict(
        adapter=dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=16, scale=1.0, drop_rate=0.1)
    ),
    tuning="peft",
)
