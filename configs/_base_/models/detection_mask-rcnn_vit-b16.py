"""Mask R-CNN over ViT-B/16 with DyT at 1,024 px: ViTDet's pyramid and heads.

The heads are those of `Exploring Plain Vision Transformer Backbones for Object
Detection <https://arxiv.org/abs/2203.16527>`_: two convolutions in the RPN, four in
the box head, layer norms.
"""

norm_cfg = dict(type="mmpretrain.LN2d")
roi_align = dict(type="RoIAlign", sampling_ratio=0)
strides = [4, 8, 16, 32, 64]
extractor = dict(type="SingleRoIExtractor", out_channels=256, featmap_strides=strides[:4])
model = dict(
    type="mmdyt.DyTMaskRCNN",
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean=[127.5] * 3,
        std=[127.5] * 3,
        bgr_to_rgb=True,
        pad_mask=True,
        pad_size_divisor=1024,
    ),
    backbone=dict(
        type="mmdyt.DyTViT",
        arch="base",
        img_size=1024,
        patch_size=16,
        drop_path_rate=0.1,
        out_type="featmap",
        final_norm=False,
        dispatch="mlp",
        adapter=dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=128, scale=0.1, drop_rate=0.1),
        dispatcher=dict(type="mmdyt.TokenDispatcher", tau=5.0, threshold=0.5),
        init_cfg=dict(
            type="Pretrained",
            checkpoint="checkpoints/vit-b16_in21k.safetensors",
            prefix="backbone.",
        ),
    ),
    neck=dict(type="mmdyt.SimpleFeaturePyramid", in_channels=768),
    rpn_head=dict(
        type="RPNHead",
        in_channels=256,
        feat_channels=256,
        num_convs=2,
        anchor_generator=dict(
            type="AnchorGenerator", scales=[8], ratios=[0.5, 1.0, 2.0], strides=strides
        ),
        bbox_coder=dict(type="DeltaXYWHBBoxCoder"),
        loss_cls=dict(type="CrossEntropyLoss", use_sigmoid=True),
        loss_bbox=dict(type="L1Loss"),
    ),
    roi_head=dict(
        type="StandardRoIHead",
        bbox_roi_extractor=dict(extractor, roi_layer=dict(roi_align, output_size=7)),
        bbox_head=dict(
            type="Shared4Conv1FCBBoxHead",
            in_channels=256,
            conv_out_channels=256,
            fc_out_channels=1024,
            roi_feat_size=7,
            num_classes=80,
            norm_cfg=norm_cfg,
            bbox_coder=dict(type="DeltaXYWHBBoxCoder", target_stds=[0.1, 0.1, 0.2, 0.2]),
            loss_cls=dict(type="CrossEntropyLoss"),
            loss_bbox=dict(type="L1Loss"),
        ),
        mask_roi_extractor=dict(extractor, roi_layer=dict(roi_align, output_size=14)),
        mask_head=dict(
            type="FCNMaskHead",
            num_convs=4,
            in_channels=256,
            conv_out_channels=256,
            num_classes=80,
            norm_cfg=norm_cfg,
            loss_mask=dict(type="CrossEntropyLoss", use_mask=True),
        ),
    ),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type="MaxIoUAssigner",
                pos_iou_thr=0.7,
                neg_iou_thr=0.3,
                min_pos_iou=0.3,
                match_low_quality=True,
                ignore_iof_thr=-1,
            ),
            sampler=dict(
                type="RandomSampler", num=256, pos_fraction=0.5, add_gt_as_proposals=False
            ),
            allowed_border=-1,
            pos_weight=-1,
        ),
        rpn_proposal=dict(
            nms_pre=2000,
            max_per_img=1000,
            nms=dict(type="nms", iou_threshold=0.7),
            min_bbox_size=0,
        ),
        rcnn=dict(
            assigner=dict(
                type="MaxIoUAssigner",
                pos_iou_thr=0.5,
                neg_iou_thr=0.5,
                min_pos_iou=0.5,
                match_low_quality=True,
                ignore_iof_thr=-1,
            ),
            sampler=dict(
                type="RandomSampler", num=512, pos_fraction=0.25, add_gt_as_proposals=True
            ),
            mask_size=28,
            pos_weight=-1,
        ),
    ),
    test_cfg=dict(
        rpn=dict(
            nms_pre=1000,
            max_per_img=1000,
            nms=dict(type="nms", iou_threshold=0.7),
            min_bbox_size=0,
        ),
        rcnn=dict(
            score_thr=0.05,
            nms=dict(type="nms", iou_threshold=0.5),
            max_per_img=100,
            mask_thr_binary=0.5,
        ),
    ),
    dyt=dict(target_rate=0.5, rate_weight=2.0),
)
