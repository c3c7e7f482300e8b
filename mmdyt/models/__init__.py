"""Modules of Dynamic Tuning; importing this registers them."""

import mmdyt.fileio  # noqa: F401  (lets mmengine load safetensors)
from mmdyt.models.adapters import (
    BottleneckAdapter,
    DynamicAdapter,
    InputConditionedAdapter,
    MoEAdapter,
    SharedMoEAdapter,
)
from mmdyt.models.algorithms import CompleteModelMixin, DyTObjective
from mmdyt.models.backbones import (
    DyTSwinTransformer,
    DyTViT,
    EtherViT,
    PrefixViT,
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
    "DynamicAdapter",
    "EtherViT",
    "InputConditionedAdapter",
    "MoEAdapter",
    "PrefixViT",
    "PromptedViT",
    "RandomDispatcher",
    "SSFViT",
    "SampleDispatcher",
    "SharedMoEAdapter",
    "SimpleFeaturePyramid",
    "ToMeViT",
    "TokenDispatcher",
]
