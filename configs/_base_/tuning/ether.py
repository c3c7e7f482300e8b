"""ETHER (Bini et al., ICML 2024): reflections of the frozen weights, in four blocks."""

_base_ = "../models/vit-b16_in21k.py"

model = dict(backbone=dict(type="mmdyt.EtherViT", ether=dict(variant="ether", num_blocks=4)))
