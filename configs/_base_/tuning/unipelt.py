"""UniPELT (Mao et al., ACL 2022): LoRA, prefix and adapter, each behind a gate."""

_base_ = "../models/vit-b16_in21k.py"

model = dict(
    backbone=dict(
        type="mmdyt.UniPELTViT",
        lora_rank=8,
        prefix_length=10,
        folded=False,  # True: the form that inference needs
        num_prompts=0,
        adapter=dict(
            _delete_=True, type="mmdyt.BottleneckAdapter", bottleneck_dims=48, scale=1.0, gate=True
        ),
    )
)
