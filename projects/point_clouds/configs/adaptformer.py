"""AdaptFormer: adapters beside the MLPs."""

_base_ = [
    "../../../configs/_base_/default_runtime.py",
    "_base_/point-mini.py",
    "_base_/digit_clouds.py",
    "_base_/schedule.py",
]

model = dict(
    backbone=dict(adapter=dict(_delete_=True, type="mmdyt.BottleneckAdapter", bottleneck_dims=16))
)
