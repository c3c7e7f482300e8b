"""AdaptFormer: adapters beside the MLPs, as many parameters as LoRA of rank 8, no dispatch."""

_base_ = "plain.py"

model = dict(
    tuning="peft",
    backbone=dict(
        adapter=dict(_delete_=True, type="mmdyt.BottleneckAdapter", bottleneck_dims=16, scale=1.0),
    ),
)
