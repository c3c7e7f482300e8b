"""UPerNet over the small ViT that mmdyt ships, with DyT; a decoder of demo size."""

norm_cfg = dict(type="BN", requires_grad=True)
model = dict(
    type="mmdyt.DyTEncoderDecoder",
    backbone=dict(
        type="mmdyt.DyTViT",
        arch=dict(embed_dims=128, num_layers=6, num_heads=4, feedforward_channels=512),
        img_size=64,
        patch_size=4,
        out_type="featmap",
        out_indices=[1, 2, 3, 5],
        final_norm=False,
        dispatch="mlp",
        adapter=dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=16, scale=1.0, drop_rate=0.1),
        dispatcher=dict(type="mmdyt.TokenDispatcher", tau=5.0, threshold=0.5),
        init_cfg=dict(
            type="Pretrained",
            checkpoint="assets/vit-mini-p4_fashion-mnist-28px.safetensors",
            prefix="backbone.",
        ),
    ),
    neck=dict(
        type="Feature2Pyramid", embed_dim=128, rescales=[2, 1, 0.5, 0.25], norm_cfg=norm_cfg
    ),
    decode_head=dict(
        type="UPerHead",
        in_channels=[128] * 4,
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 4),
        channels=32,
        dropout_ratio=0.1,
        num_classes=6,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", loss_weight=1.0),
    ),
    auxiliary_head=dict(
        type="FCNHead",
        in_channels=128,
        in_index=1,
        channels=32,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=6,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", loss_weight=0.4),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
    dyt=dict(target_rate=0.5, rate_weight=2.0),
)
