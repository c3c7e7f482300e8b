"""Modules of Dynamic Tuning; importing this registers them."""

import mmdyt.fileio  # noqa: F401  (lets mmengine load safetensors)
from mmdyt.models.adapters import BottleneckAdapter, MoEAdapter
from mmdyt.models.algorithms import CompleteModelMixin, DyTObjective
from mmdyt.models.backbones import (
    DyTSwinTransformer,
    DyTViT,
    PromptedViT,
    SSFViT,
    ToMeViT,
)
from mmdyt.models.dispatchers import RandomDispatcher, SampleDispatcher, TokenDispatcher
from mmdyt.models.layers import DyTEncoderLayer, DyTSwinBlock
from mmdyt.models.necks import SimpleFeaturePyramid

__all__ = [
    "BottleneckAdapter",
    "CompleteModelMixin",
    "DyTEncoderLayer",
    "DyTObjective",
    "DyTSwinBlock",
    "DyTSwinTransformer",
    "DyTViT",
    "MoEAdapter",
    "PromptedViT",
    "RandomDispatcher",
    "SSFViT",
    "SampleDispatcher",
    "SimpleFeaturePyramid",
    "ToMeViT",
    "TokenDispatcher",
]
