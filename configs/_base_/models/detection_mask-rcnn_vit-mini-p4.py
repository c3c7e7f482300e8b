"""A small Mask R-CNN over the small ViT that mmdyt ships, with DyT.

Two maps at strides 4 and 8 for objects of 10 to 60 px.
"""

_base_ = "detection_mask-rcnn_vit-b16.py"

strides = [4, 8]
few = dict(nms_pre=200, max_per_img=50)
extractor = dict(out_channels=64, featmap_strides=strides)
model = dict(
    data_preprocessor=dict(pad_size_divisor=8),
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=128, num_layers=6, num_heads=4, feedforward_channels=512
        ),
        img_size=64,
        patch_size=4,
        drop_path_rate=0.0,
        adapter=dict(bottleneck_dims=16, scale=1.0),
        init_cfg=dict(checkpoint="assets/vit-mini-p4_fashion-mnist-28px.safetensors"),
    ),
    neck=dict(in_channels=128, out_channels=64, scales=[1, 0.5], num_outs=2),
    rpn_head=dict(
        in_channels=64,
        feat_channels=64,
        num_convs=1,
        anchor_generator=dict(scales=[3, 6], strides=strides),
    ),
    roi_head=dict(
        bbox_roi_extractor=extractor,
        bbox_head=dict(
            _delete_=True,
            type="Shared2FCBBoxHead",
            in_channels=64,
            fc_out_channels=128,
            roi_feat_size=7,
            num_classes=4,
            bbox_coder=dict(type="DeltaXYWHBBoxCoder", target_stds=[0.1, 0.1, 0.2, 0.2]),
            loss_cls=dict(type="CrossEntropyLoss"),
            loss_bbox=dict(type="L1Loss"),
        ),
        mask_roi_extractor=extractor,
        mask_head=dict(num_convs=2, in_channels=64, conv_out_channels=64, num_classes=4),
    ),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=64)), rpn_proposal=few, rcnn=dict(sampler=dict(num=64))
    ),
    test_cfg=dict(rpn=few, rcnn=dict(max_per_img=50)),
)
