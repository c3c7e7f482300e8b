"""An FCN head over four layers of the small ViT that mmdyt ships, with DyT.

UPerNet, which the full-size configs have, needs more than a demo's iterations.
"""

_base_ = "vit-mini-p4_fashion-mnist.py"

model = dict(
    _delete_=True,
    type="mmdyt.DyTEncoderDecoder",
    backbone=dict(
        _base_.model.backbone,
        img_size=64,
        out_type="featmap",
        out_indices=[1, 2, 3, 5],
        final_norm=False,
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
