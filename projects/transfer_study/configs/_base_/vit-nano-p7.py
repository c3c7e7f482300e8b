"""The small ViT of the transfer study, pre-trained on Fashion-MNIST: the plain classifier."""

model = dict(
    type="mmdyt.DyTImageClassifier",
    backbone=dict(
        type="mmdyt.DyTViT",
        arch=dict(embed_dims=64, num_layers=6, num_heads=4, feedforward_channels=256),
        img_size=28,
        patch_size=7,
        dispatch=None,
        adapter=None,
        init_cfg=dict(
            type="Pretrained",
            checkpoint="projects/transfer_study/assets/vit-nano-p7_fashion-mnist-28px.safetensors",
            prefix="backbone.",
        ),
    ),
    head=dict(type="LinearClsHead", num_classes=10, in_channels=64),
)
