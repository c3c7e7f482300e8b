"""AdaptFormer with Faster R-CNN on blood cells: the adapters of DyT, every token computed.

The backbone is the public ViT-S/14 that ``make photo-weights`` fetches: it was tuned
for saliency, and its layout is that of DINOv2.
"""

_base_ = [
    "../../_base_/models/detection_mask-rcnn_vit-mini-p4.py",
    "../../_base_/datasets/detection_blood_cells.py",
    "../../_base_/schedules/detection_demo.py",
    "../../_base_/detection_runtime.py",
]

strides = [7, 14]
model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], pad_size_divisor=14
    ),
    backbone=dict(
        arch="dinov2-small",
        img_size=(126, 168),
        patch_size=14,
        layer_scale_init_value=1e-5,
        final_norm=True,
        dispatch=None,
        adapter=dict(bottleneck_dims=64, scale=0.1),
        init_cfg=dict(checkpoint="data/photo_weights/vit-s14_saliency-tuned_518px.safetensors"),
    ),
    neck=dict(in_channels=384, scales=[2, 1]),
    rpn_head=dict(anchor_generator=dict(scales=[2.5, 5], strides=strides)),
    roi_head=dict(
        bbox_roi_extractor=dict(featmap_strides=strides),
        bbox_head=dict(num_classes=3),
        mask_roi_extractor=None,
        mask_head=None,
    ),
    dyt=None,
)
log_processor = dict(by_epoch=False)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=50, max_keep_ckpts=1), logger=dict(interval=10)
)
