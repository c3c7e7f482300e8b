"""AdaptFormer (Chen et al., NeurIPS 2022): adapters beside the MLPs."""

_base_ = "../models/vit-b16_in21k.py"

model = dict(
    backbone=dict(adapter=dict(_delete_=True, type="mmdyt.BottleneckAdapter", bottleneck_dims=64))
)
