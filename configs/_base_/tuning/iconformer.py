"""iConFormer (Jo et al., 2024): adapters whose depth-wise kernels each image makes for itself."""

_base_ = "../models/vit-b16_in21k.py"

model = dict(
    backbone=dict(
        adapter=dict(
            _delete_=True,
            type="mmdyt.InputConditionedAdapter",
            bottleneck_dims=64,
            kernel_size=3,
            scale=0.1,
        )
    )
)
