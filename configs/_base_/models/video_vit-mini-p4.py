"""DyT of the small ViT that mmdyt ships, on clips of 8 frames of 28 x 28 px."""

_base_ = "vit-mini-p4_fashion-mnist.py"

model = dict(
    _delete_=True,
    type="mmdyt.DyTRecognizer2D",
    data_preprocessor=dict(
        type="ActionDataPreprocessor", mean=[127.5] * 3, std=[127.5] * 3, format_shape="NCHW"
    ),
    backbone=dict(_base_.model.backbone, out_type="raw"),
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
