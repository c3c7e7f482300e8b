"""DyT of ViT-B/16, pre-trained on ImageNet-21k: the paper's model.

The checkpoint is timm's ``jx_vit_base_patch16_224_in21k-e5005f0a.pth``,
converted once::

    python tools/model_converters/timm_to_mmdyt.py SRC checkpoints/vit-base-p16_in21k.pth
"""

model = dict(
    type="mmdyt.DyTImageClassifier",
    backbone=dict(
        type="mmdyt.DyTViT",
        arch="base",
        img_size=224,
        patch_size=16,
        dispatch="mlp",
        adapter=dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=64, scale=0.1, drop_rate=0.1),
        dispatcher=dict(type="mmdyt.TokenDispatcher", tau=5.0, threshold=0.5),
        init_cfg=dict(
            type="Pretrained", checkpoint="checkpoints/vit-base-p16_in21k.pth", prefix="backbone."
        ),
    ),
    head=dict(type="LinearClsHead", num_classes=1000, in_channels=768),
    dyt=dict(target_rate=0.5, rate_weight=2.0, complete_weight=1.0, distill_weight=1.0),
)
