"""A scale and a shift for every channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmdyt.models.layers.tuned_module import TunedModule


class ScaleShift(TunedModule):
    """``scale * x + shift`` by channel; the identity at first, or near it.

    Args:
        num_channels: Channels of ``x``.
        dim: Dimension of the channels in ``x``. Defaults to the last.
        std: Standard deviation of the initial values. Defaults to 0.
    """

    def __init__(self, num_channels: int, dim: int = -1, std: float = 0.0) -> None:
        super().__init__()
        shape = (num_channels,) + (1,) * (-1 - dim)
        self.scale = nn.Parameter(1 + std * torch.randn(shape))
        self.shift = nn.Parameter(std * torch.randn(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift ``x`` of any shape with the channels at ``dim``."""
        return x * self.scale + self.shift
