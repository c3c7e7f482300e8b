"""AdaptFormer on blood cells: the adapters of DyT, every token computed."""

_base_ = "linear_vit-s14_faster-rcnn_blood-cells.py"

model = dict(
    backbone=dict(
        adapter=dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=64, scale=1.0, drop_rate=0.1)
    ),
    tuning="peft",
)
