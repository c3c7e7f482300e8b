"""AdaptFormer: adapters beside the MLPs, no dispatch."""

_base_ = "plain.py"

model = dict(
    tuning="peft",
    backbone=dict(
        adapter=dict(_delete_=True, type="mmdyt.BottleneckAdapter", bottleneck_dims=8, scale=1.0),
    ),
)
