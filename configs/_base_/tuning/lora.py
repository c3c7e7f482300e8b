"""LoRA (Hu et al., ICLR 2022) on queries, keys and values: mmpretrain wraps the backbone."""

_base_ = "../models/vit-b16_in21k.py"

model = dict(
    backbone=dict(
        _delete_=True,
        type="mmpretrain.LoRAModel",
        module=_base_.model.backbone,
        alpha=8,
        rank=8,
        targets=[dict(type="qkv")],
    )
)
