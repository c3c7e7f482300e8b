"""Adapter-X (2024): one library of adapters for all layers, an expert for every token."""

_base_ = "../models/vit-b16_in21k.py"

model = dict(
    backbone=dict(
        adapter=dict(
            _delete_=True,
            type="mmdyt.SharedMoEAdapter",
            num_experts=8,
            bottleneck_dims=4,
            balance_weight=0.01,
        )
    )
)
