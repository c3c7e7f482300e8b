"""DyT of ViT-B/16 (ImageNet-21k) on clips of 8 frames, read by one query.

The complete model has 144.39 GFLOPs a view, as the paper's AdaptFormer.
``tools/model_converters`` makes the checkpoint from timm's file.
"""

pretrained = "checkpoints/vit-b16_in21k.safetensors"

model = dict(
    type="mmdyt.DyTRecognizer2D",
    data_preprocessor=dict(
        type="ActionDataPreprocessor", mean=[127.5] * 3, std=[127.5] * 3, format_shape="NCHW"
    ),
    backbone=dict(
        type="mmdyt.DyTViT",
        arch="base",
        img_size=224,
        patch_size=16,
        out_type="raw",
        dispatch="mlp",
        adapter=dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=64, scale=0.1, drop_rate=0.1),
        dispatcher=dict(type="mmdyt.TokenDispatcher", tau=5.0, threshold=0.5),
        init_cfg=dict(type="Pretrained", checkpoint=pretrained, prefix="backbone."),
    ),
    cls_head=dict(
        type="mmdyt.AttentivePoolHead",
        num_classes=400,
        in_channels=768,
        num_frames=8,
        num_heads=12,
        average_clips="prob",
    ),
    dyt=dict(target_rate=0.5, rate_weight=2.0, complete_weight=1.0, distill_weight=1.0),
)
