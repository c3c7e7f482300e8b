"""A public ViT-S/14 in DINOv2's layout, saliency-tuned, at 98 px: the plain classifier.

``make photo-weights`` fetches and converts the weights. The photo study's configs inherit this: a
change makes its records stale.
"""

model = dict(
    type="mmdyt.DyTImageClassifier",
    backbone=dict(
        type="mmdyt.DyTViT",
        arch="dinov2-small",
        img_size=98,
        patch_size=14,
        layer_scale_init_value=1.0,  # the values come from the file
        dispatch=None,
        adapter=None,
        init_cfg=dict(
            type="Pretrained",
            checkpoint="data/photo_weights/vit-s14_saliency-tuned_518px.safetensors",
            prefix="backbone.",
        ),
    ),
    head=dict(type="LinearClsHead", num_classes=10, in_channels=384),
)
