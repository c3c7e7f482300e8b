"""Low-rank updates of queries and values that each image gates."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdyt.models.layers.key_value_attention import InputGate
from mmdyt.models.layers.tuned_module import TunedModule


class GatedLoRA(TunedModule):
    """``g * B A h`` for one projection, with ``g`` the mean of the tokens' gates.

    Args:
        embed_dims: Width ``C``.
        rank: ``r``.
    """

    def __init__(self, embed_dims: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Linear(embed_dims, rank, bias=False)
        self.up = nn.Linear(rank, embed_dims, bias=False)
        self.gate = InputGate(embed_dims, 1, "average", bias=True)
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Update of the projection of ``(B, N, C)``, the same shape."""
        return self.gate(x).unsqueeze(1) * self.up(self.down(x))


class GatedLoRALinear(nn.Linear):
    """A fused projection with gated updates of its queries and values.

    It is made of a built projection, in place, and keeps its weights' names. The
    gates depend on the input, so that it cannot be merged.
    """

    gated_lora: nn.ModuleDict

    @classmethod
    def from_linear(cls, qkv: nn.Linear, rank: int) -> GatedLoRALinear:
        """Give a projection from ``C`` to ``3 C`` its updates, of rank ``rank``."""
        qkv.__class__ = cls
        assert isinstance(qkv, cls)
        parts = {name: GatedLoRA(qkv.in_features, rank) for name in ("query", "value")}
        qkv.gated_lora = nn.ModuleDict(parts)
        return qkv

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, N, C)`` to ``(B, N, 3 * C)``."""
        q, k, v = F.linear(x, self.weight, self.bias).chunk(3, dim=-1)
        lora = self.gated_lora
        return torch.cat([q + lora["query"](x), k, v + lora["value"](x)], dim=-1)
