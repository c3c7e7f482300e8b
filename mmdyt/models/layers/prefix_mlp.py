"""Prefixes of all layers out of one MLP, for training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdyt.models.layers.key_value_attention import KeyValuePrefix
from mmdyt.models.layers.tuned_module import TunedModule


class PrefixMLP(TunedModule):
    """``MLP(E)``: an embedding of ``M`` tokens, one hidden layer with tanh.

    Args:
        num_tokens: ``M``.
        embed_dims: Width ``C``.
        num_layers: Layers ``L`` of the backbone.
        hidden_dims: Width of the hidden layer.
    """

    def __init__(self, num_tokens: int, embed_dims: int, num_layers: int, hidden_dims: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(num_tokens, embed_dims))
        self.hidden = nn.Linear(embed_dims, hidden_dims)
        self.out = nn.Linear(hidden_dims, 2 * num_layers * embed_dims)
        for weight in (self.embedding, self.hidden.weight, self.out.weight):
            nn.init.normal_(weight, std=0.02)
        for bias in (self.hidden.bias, self.out.bias):
            nn.init.zeros_(bias)

    def forward(self, layer: int, num_heads: int) -> Tensor:
        """Keys and values of one layer, ``(2, H, M, D)``."""
        hidden = self.hidden(self.embedding).tanh()
        width = 2 * self.embedding.shape[1]
        rows = slice(layer * width, (layer + 1) * width)
        both = F.linear(hidden, self.out.weight[rows], self.out.bias[rows])  # (M, 2 * C)
        return both.unflatten(1, (2, num_heads, -1)).permute(1, 2, 0, 3)


class MLPPrefix(KeyValuePrefix):
    """A layer's prefix, read from the MLP that the backbone holds for all of them.

    Args:
        mlp: The backbone's.
        layer: Position of the layer.
        num_heads: Attention heads ``H``.
        head_dims: Width ``D`` of a head.
        gate: As :class:`KeyValuePrefix`.
    """

    def __init__(
        self, mlp: PrefixMLP, layer: int, num_heads: int, head_dims: int, gate: nn.Module
    ) -> None:
        super().__init__(len(mlp.embedding), num_heads, head_dims, gate=gate)
        del self.tokens
        self.layer, self.num_heads, self.head_dims = layer, num_heads, head_dims
        self._mlp = (mlp,)  # a tuple hides it from state_dict

    def both(self) -> Tensor:
        """Keys and values before the gate, ``(2, H, M, D)``."""
        return self._mlp[0](self.layer, self.num_heads)

    @torch.no_grad()
    def fold(self) -> KeyValuePrefix:
        """The same prefix as tokens of its own."""
        both = self.both()
        folded = KeyValuePrefix(both.shape[2], self.num_heads, self.head_dims, gate=self.gate)
        folded.tokens.copy_(both)
        return folded.to(both.device, both.dtype)
