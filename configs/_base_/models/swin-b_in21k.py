"""DyT of Swin-B, pre-trained on ImageNet-21k.

mmpretrain's own checkpoints of Swin Transformers fit as they are.
"""

model = dict(
    type="mmdyt.DyTImageClassifier",
    backbone=dict(
        type="mmdyt.DyTSwinTransformer",
        arch="base",
        img_size=224,
        dispatch="mlp",
        adapter=dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=64),
        dispatcher=dict(type="mmdyt.TokenDispatcher", tau=5.0, threshold=0.5),
        init_cfg=dict(
            type="Pretrained", checkpoint="checkpoints/swin-b_in21k.pth", prefix="backbone."
        ),
    ),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="LinearClsHead", num_classes=100, in_channels=1024),
    dyt=dict(target_rate=0.5, rate_weight=2.0, complete_weight=1.0, distill_weight=1.0),
)
