"""DAPT (Zhou et al., CVPR 2024): dynamic adapters, scales and shifts, growing prompts."""

_base_ = "../models/vit-b16_in21k.py"

model = dict(
    backbone=dict(
        type="mmdyt.DAPTViT",
        adapter=dict(_delete_=True, type="mmdyt.DynamicAdapter", bottleneck_dims=64),
    )
)
