"""DyT of the small ViT that mmdyt ships, on clips of 8 frames of 28 x 28 px."""

model = dict(
    type="mmdyt.DyTRecognizer2D",
    data_preprocessor=dict(
        type="ActionDataPreprocessor", mean=[127.5] * 3, std=[127.5] * 3, format_shape="NCHW"
    ),
    backbone=dict(
        type="mmdyt.DyTViT",
        arch=dict(embed_dims=128, num_layers=6, num_heads=4, feedforward_channels=512),
        img_size=28,
        patch_size=4,
        out_type="raw",
        dispatch="mlp",
        adapter=dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=16, scale=1.0, drop_rate=0.1),
        dispatcher=dict(type="mmdyt.TokenDispatcher", tau=5.0, threshold=0.5),
        init_cfg=dict(
            type="Pretrained",
            checkpoint="assets/vit-mini-p4_fashion-mnist-28px.safetensors",
            prefix="backbone.",
        ),
    ),
    cls_head=dict(
        type="mmdyt.AttentivePoolHead",
        num_classes=8,
        in_channels=128,
        num_frames=8,
        num_heads=4,
        topk=(1,),
        average_clips="prob",
    ),
    dyt=dict(target_rate=0.5, rate_weight=2.0, complete_weight=1.0, distill_weight=1.0),
)
