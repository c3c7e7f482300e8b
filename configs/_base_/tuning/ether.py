"""ETHER (Bini et al., ICML 2024): reflections of the frozen weights, in four blocks."""

_base_ = "../models/vit-b16_in21k.py"

model = dict(backbone=dict(type="mmdyt.EtherViT", ether=dict(variant="ether", num_blocks=4)))
# A decayed direction turns no less: its length does not count.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={".ether.": dict(decay_mult=0.0)}))
