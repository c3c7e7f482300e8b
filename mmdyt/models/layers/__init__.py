"""Layers with token dispatch."""

from mmdyt.models.layers.dispatched_layer import VARIANTS, DispatchedLayer, TokenSelection, Variant
from mmdyt.models.layers.dyt_encoder_layer import DyTEncoderLayer

__all__ = ["VARIANTS", "DispatchedLayer", "DyTEncoderLayer", "TokenSelection", "Variant"]
