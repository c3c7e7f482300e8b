"""DyT (MLP dispatch, r = 0.5) with Faster R-CNN on blood cells; ``make demo-det`` runs it."""

_base_ = [
    "../../_base_/models/detection_mask-rcnn_vit-mini-p4.py",
    "../../_base_/datasets/detection_blood_cells.py",
    "../../_base_/schedules/detection_demo.py",
    "../../_base_/detection_runtime.py",
]

model = dict(
    backbone=dict(img_size=(120, 160)),
    roi_head=dict(mask_roi_extractor=None, mask_head=None, bbox_head=dict(num_classes=3)),
)
log_processor = dict(by_epoch=False)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=50, max_keep_ckpts=1), logger=dict(interval=10)
)
