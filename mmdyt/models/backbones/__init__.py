"""Backbones with token dispatch."""

from mmdyt.models.backbones.dyt_swin import DyTSwinTransformer
from mmdyt.models.backbones.dyt_vit import DyTViT

__all__ = ["DyTSwinTransformer", "DyTViT"]
