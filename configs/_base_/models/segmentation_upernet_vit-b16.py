"""UPerNet over ViT-B/16 with DyT at 512 x 512, as the paper's figures imply.

768 channels in the decoder and no batch norm of its own in the backbone; the
dense model has 605.4 GFLOPs with ADE20K's 150 classes.
"""

norm_cfg = dict(type="SyncBN", requires_grad=True)
data_preprocessor = dict(
    type="SegDataPreProcessor",
    mean=[127.5] * 3,
    std=[127.5] * 3,
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size=(512, 512),
    # Images narrower than a window of slide inference are padded to one.
    test_cfg=dict(size=(512, 512)),
)
model = dict(
    type="mmdyt.DyTEncoderDecoder",
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type="mmdyt.DyTViT",
        arch="base",
        img_size=512,
        patch_size=16,
        drop_path_rate=0.1,
        out_type="featmap",
        out_indices=[3, 5, 7, 11],
        final_norm=False,
        dispatch="mlp",
        adapter=dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=64, scale=0.1, drop_rate=0.1),
        dispatcher=dict(type="mmdyt.TokenDispatcher", tau=5.0, threshold=0.5),
        init_cfg=dict(
            type="Pretrained",
            checkpoint="checkpoints/vit-b16_in21k.safetensors",
            prefix="backbone.",
        ),
    ),
    neck=dict(type="Feature2Pyramid", embed_dim=768, norm_cfg=norm_cfg),
    decode_head=dict(
        type="UPerHead",
        in_channels=[768] * 4,
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=768,
        dropout_ratio=0.1,
        num_classes=150,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", loss_weight=1.0),
    ),
    auxiliary_head=dict(
        type="FCNHead",
        in_channels=768,
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=150,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", loss_weight=0.4),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(341, 341)),
    dyt=dict(target_rate=0.5, rate_weight=2.0),
)
