"""Backbones with token dispatch."""

from mmdyt.models.backbones.dyt_vit import DyTViT

__all__ = ["DyTViT"]
