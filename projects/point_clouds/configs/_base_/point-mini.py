"""A small encoder of point clouds, pre-trained by ``pretrain.py``: all of it frozen."""

model = dict(
    type="mmdyt.DyTImageClassifier",
    backbone=dict(
        type="mmdyt.DyTPointTransformer",
        arch=dict(embed_dims=96, num_layers=4, num_heads=4, feedforward_channels=384),
        num_groups=16,
        group_size=8,
        dispatch=None,
        adapter=None,
        init_cfg=dict(
            type="Pretrained",
            checkpoint="work_dirs/point_clouds/pretrained.safetensors",
            prefix="backbone.",
        ),
    ),
    head=dict(  # that of Point-MAE's and DAPT's releases, a quarter as wide
        type="StackedLinearClsHead",
        in_channels=2 * 96,
        mid_channels=[64, 64],
        num_classes=5,
        dropout_rate=0.5,
        norm_cfg=dict(type="BN1d"),
    ),
)
