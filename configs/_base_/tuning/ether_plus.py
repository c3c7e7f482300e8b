"""ETHER+ (Bini et al., ICML 2024): relaxed reflections on both sides of the frozen weights."""

_base_ = "ether.py"

model = dict(backbone=dict(ether=dict(variant="ether_plus")))
