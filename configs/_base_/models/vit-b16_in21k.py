"""ViT-B/16, pre-trained on ImageNet-21k: the plain classifier that tuning/ builds on.

``tools/model_converters/timm_to_mmdyt.py`` makes the checkpoint.
"""

model = dict(
    type="mmdyt.DyTImageClassifier",
    backbone=dict(
        type="mmdyt.DyTViT",
        arch="base",
        img_size=224,
        patch_size=16,
        dispatch=None,
        adapter=None,
        init_cfg=dict(
            type="Pretrained",
            checkpoint="checkpoints/vit-b16_in21k.safetensors",
            prefix="backbone.",
        ),
    ),
    head=dict(type="LinearClsHead", num_classes=100, in_channels=768),
)
