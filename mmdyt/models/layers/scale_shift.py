"""A scale and a shift for every channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmdyt.models.layers.tuned_module import TunedModule


class ScaleShift(TunedModule):
    """``scale * x + shift`` by channel; the identity at first.

    Args:
        num_channels: Channels of ``x``.
        dim: Dimension of the channels in ``x``. Defaults to the last.
    """

    def __init__(self, num_channels: int, dim: int = -1) -> None:
        super().__init__()
        shape = (num_channels,) + (1,) * (-1 - dim)
        self.scale = nn.Parameter(torch.ones(shape))
        self.shift = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift ``x`` of any shape with the channels at ``dim``."""
        return x * self.scale + self.shift
