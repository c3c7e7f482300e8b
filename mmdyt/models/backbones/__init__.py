"""Backbones with token dispatch."""

from mmdyt.models.backbones.dispatched_backbone import DispatchedBackbone, dispatch_layers
from mmdyt.models.backbones.dyt_swin import DyTSwinTransformer
from mmdyt.models.backbones.dyt_vit import DyTViT
from mmdyt.models.backbones.ether_vit import EtherViT
from mmdyt.models.backbones.prefix_vit import PrefixViT
from mmdyt.models.backbones.prompted_vit import PromptedViT
from mmdyt.models.backbones.ssf_vit import SSFViT
from mmdyt.models.backbones.tome_vit import ToMeViT

__all__ = [
    "DispatchedBackbone",
    "DyTSwinTransformer",
    "DyTViT",
    "EtherViT",
    "PrefixViT",
    "PromptedViT",
    "SSFViT",
    "ToMeViT",
    "dispatch_layers",
]
