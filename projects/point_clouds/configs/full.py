"""Full tuning: everything trains."""

_base_ = [
    "../../../configs/_base_/default_runtime.py",
    "_base_/point-mini.py",
    "_base_/digit_clouds.py",
    "_base_/schedule.py",
]

model = dict(tuning="full")
