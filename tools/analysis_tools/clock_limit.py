"""The gain that the clock allows: skipping saves an MLP's time on fewer tokens, at most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mmdyt.evaluation.timing import Spread


class Mlps(nn.Module):
    """The MLPs of a ViT, one after the other, on tokens ``(rows, C)``."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.layers: Any = backbone.layers

    def forward(self, tokens: Tensor) -> Tensor:
        """Run them."""
        for layer in self.layers:
            tokens = layer.ffn(layer.ln2(tokens))
        return tokens


def mlp_tokens(backbone: nn.Module, batch: int, rate: float) -> tuple[Tensor, Tensor]:
    """Draw tokens for :class:`Mlps`: all of a batch, and as many as a dispatcher leaves.

    Args:
        backbone: A ViT with a class token, which no dispatcher takes out.
        batch: Number of images.
        rate: Share of active tokens.

    Returns:
        Two of ``(rows, C)``; rows of one image follow each other.
    """
    embedding = backbone.get_parameter("pos_embed")
    _, count, width = embedding.shape
    left = 1 + round(rate * (count - 1))
    every, some = (torch.randn(batch * n, width).to(embedding) for n in (count, left))
    return every, some


def clock_limit(seconds: Mapping[str, list[float]], dense: str, every: str, left: str) -> float:
    """Compute the median gain of a model whose skipped tokens cost nothing at all.

    Args:
        seconds: As ``time_alternately`` gives them.
        dense: The dense model.
        every: Its MLPs on all tokens.
        left: Its MLPs on the tokens that are left.

    Returns:
        The dense model's time over what remains of it.
    """
    rounds = zip(seconds[dense], seconds[every], seconds[left])
    return Spread.of([d / (d - a + b) for d, a, b in rounds]).median
