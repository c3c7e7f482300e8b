"""Frozen backbone with Mask R-CNN on composed scenes: only neck and heads train."""

_base_ = [
    "../../_base_/models/detection_mask-rcnn_vit-mini-p4.py",
    "../../_base_/datasets/detection_fashion_scenes.py",
    "../../_base_/schedules/detection_demo.py",
    "../../_base_/detection_runtime.py",
]

model = dict(
    backbone=dict(dispatch=None, adapter=None),
    test_cfg=dict(rcnn=dict(max_per_img=20)),
    dyt=None,
    tuning="linear",
)
log_processor = dict(by_epoch=False)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=50, max_keep_ckpts=1), logger=dict(interval=10)
)
