"""LoRA on queries, keys and values: mmpretrain wraps the backbone."""

_base_ = "plain.py"

model = dict(
    tuning="peft",
    backbone=dict(
        _delete_=True,
        type="mmpretrain.LoRAModel",
        module={{_base_.model.backbone}},
        alpha=8,
        rank=8,
        targets=[dict(type="qkv")],
    ),
)
