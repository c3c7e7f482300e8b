"""An FCN head over four layers of the small ViT that mmdyt ships, with DyT.

UPerNet, which the full-size configs have, needs more than a demo's iterations.
"""

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
    decode_head=dict(
        type="FCNHead",
        in_channels=[128] * 4,
        in_index=[0, 1, 2, 3],
        input_transform="resize_concat",
        channels=64,
        num_convs=2,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=5,
        norm_cfg=dict(type="BN", requires_grad=True),
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
    dyt=dict(target_rate=0.5, rate_weight=2.0),
)
