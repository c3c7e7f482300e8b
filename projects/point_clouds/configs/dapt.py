"""DAPT: dynamic adapters, scales and shifts, growing prompts."""

_base_ = [
    "../../../configs/_base_/default_runtime.py",
    "_base_/point-mini.py",
    "_base_/digit_clouds.py",
    "_base_/schedule.py",
]

model = dict(
    backbone=dict(
        type="mmdyt.DAPTPointTransformer",
        adapter=dict(_delete_=True, type="mmdyt.DynamicAdapter", bottleneck_dims=16),
    ),
    head=dict(in_channels=3 * 96),
)
