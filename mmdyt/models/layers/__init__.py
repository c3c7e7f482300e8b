"""Layers with token dispatch."""

from mmdyt.models.layers.dispatched_layer import DispatchedLayer
from mmdyt.models.layers.dyt_encoder_layer import DyTEncoderLayer
from mmdyt.models.layers.dyt_swin_block import DyTSwinBlock
from mmdyt.models.layers.ether_linear import Ether, EtherLinear
from mmdyt.models.layers.key_value_attention import (
    InputGate,
    KeyValueAttention,
    KeyValuePrefix,
)
from mmdyt.models.layers.packed_linear import PackedLinear
from mmdyt.models.layers.prompt_tokens import PromptTokens
from mmdyt.models.layers.relative_position_bias import BiasedAttention, RelativePositionBias
from mmdyt.models.layers.scale_shift import ScaleShift
from mmdyt.models.layers.tuned_module import TunedModule
from mmdyt.models.layers.variants import VARIANTS, Variant
from mmdyt.models.layers.window_attention import PatchGrid, WindowAttention
from mmdyt.structures import TokenSelection

__all__ = [
    "VARIANTS",
    "BiasedAttention",
    "DispatchedLayer",
    "DyTEncoderLayer",
    "DyTSwinBlock",
    "Ether",
    "EtherLinear",
    "InputGate",
    "KeyValueAttention",
    "KeyValuePrefix",
    "PackedLinear",
    "PatchGrid",
    "PromptTokens",
    "RelativePositionBias",
    "ScaleShift",
    "TokenSelection",
    "TunedModule",
    "Variant",
    "WindowAttention",
]
