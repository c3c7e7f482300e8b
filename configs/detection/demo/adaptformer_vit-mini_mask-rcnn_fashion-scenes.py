"""AdaptFormer with Mask R-CNN on composed scenes: the adapters of DyT, every token computed."""

_base_ = [
    "../../_base_/models/detection_mask-rcnn_vit-mini-p4.py",
    "../../_base_/datasets/detection_fashion_scenes.py",
    "../../_base_/schedules/detection_demo.py",
    "../../_base_/detection_runtime.py",
]

model = dict(
    backbone=dict(dispatch=None),
    test_cfg=dict(rcnn=dict(max_per_img=20)),
    dyt=None,
)
log_processor = dict(by_epoch=False)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=50, max_keep_ckpts=1), logger=dict(interval=10)
)
