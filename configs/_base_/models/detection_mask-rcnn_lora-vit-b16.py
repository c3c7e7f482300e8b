"""LoRA of rank 16 on queries, keys and values of ViT-B/16, with Mask R-CNN."""

_base_ = "detection_mask-rcnn_vit-b16.py"

model = dict(
    backbone=dict(
        _delete_=True,
        type="mmpretrain.LoRAModel",
        alpha=16,
        rank=16,
        drop_rate=0.1,
        targets=[dict(type="qkv")],
        module=dict(_base_.model.backbone, dispatch=None, adapter=None),
    ),
    dyt=None,
)
