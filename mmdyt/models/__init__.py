"""Modules of Dynamic Tuning; importing this registers them."""

import mmdyt.fileio  # noqa: F401  (lets mmengine load safetensors)
from mmdyt.models.adapters import BottleneckAdapter
from mmdyt.models.algorithms import CompleteModelMixin, DyTObjective
from mmdyt.models.backbones import DyTViT, PromptedViT, SSFViT, ToMeViT
from mmdyt.models.dispatchers import TokenDispatcher
from mmdyt.models.layers import DyTEncoderLayer

__all__ = [
    "BottleneckAdapter",
    "CompleteModelMixin",
    "DyTEncoderLayer",
    "DyTObjective",
    "DyTViT",
    "PromptedViT",
    "SSFViT",
    "ToMeViT",
    "TokenDispatcher",
]
