"""The adapter of iConFormer."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdyt.checks import check_integer
from mmdyt.models.adapters.base_adapter import BaseAdapter
from mmdyt.models.layers import PatchGrid
from mmdyt.registry import MODELS


@MODELS.register_module()
class InputConditionedAdapter(BaseAdapter):
    """A bottleneck adapter with a depth-wise convolution that each image makes for itself.

    iConFormer (arXiv 2409.02838). From its abstract: a bottleneck, and one
    convolution kernel an image and channel, made out of the down-projected
    features on the token grid and applied channel-wise to them. Ours, as no code
    was released: ``z = down(x)``; the kernels are a linear map of the mean of
    ``z`` over the patches; ``z' = z + conv(z)`` on patches, prefix tokens keep
    ``z``; then ReLU, dropout, ``up`` and the scale, beside the MLP. The width of
    64 and kernels of 3 x 3 are ours too: they give 1.91 % of ViT-B/16, inside
    the published 1.6 to 2.8 %. ``up`` and all biases start at zero, so that a
    freshly built model equals its frozen backbone.

    Args:
        embed_dims (int): Width ``C`` of the stream. The layer fills it in.
        bottleneck_dims (int): Width ``d`` of the bottleneck. Defaults to 64.
        kernel_size (int): Side ``k`` of the kernels, odd. Defaults to 3.
        scale (float): Factor on the output. Defaults to 0.1.
        drop_rate (float): Dropout before ``up``. Defaults to 0.1.
        norm (str): As :class:`BaseAdapter`. Defaults to ``'none'``.
        init_cfg (dict | None): Defaults to ``None``.

    Raises:
        ValueError: If a value is outside its range, or ``kernel_size`` is even.
    """

    def __init__(
        self,
        embed_dims: int,
        bottleneck_dims: int = 64,
        kernel_size: int = 3,
        scale: float = 0.1,
        drop_rate: float = 0.1,
        norm: str = "none",
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(embed_dims, bottleneck_dims, scale, drop_rate, norm, init_cfg)
        check_integer("adapter.kernel_size", kernel_size, "[1, inf)")
        if kernel_size % 2 == 0:
            raise ValueError(f"adapter.kernel_size must be odd, got {kernel_size}")
        self.kernel_size = kernel_size
        self.down = nn.Linear(embed_dims, bottleneck_dims)
        self.kernels = nn.Linear(bottleneck_dims, bottleneck_dims * kernel_size**2)
        self.up = nn.Linear(bottleneck_dims, embed_dims)
        self.grid: PatchGrid | None = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming-uniform ``down`` and ``kernels``; zero biases and ``up``."""
        for linear in (self.down, self.kernels):
            nn.init.kaiming_uniform_(linear.weight, a=math.sqrt(5))
        for tensor in (self.down.bias, self.kernels.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(tensor)

    def attach(self, layer: nn.Module, backbone: Any) -> None:
        """Take the grid of patches from the backbone.

        Raises:
            ValueError: If its tokens keep to no single grid.
        """
        self.grid = backbone.patch_grid()

    def forward(self, x: Tensor) -> Tensor:
        """Adapt every token.

        Args:
            x: Token stream, ``(B, N, C)``, ``N = P + h * w``: prefix tokens,
                then the patches.

        Returns:
            What to add to the stream, ``(B, N, C)``.

        Raises:
            RuntimeError: If there is no backbone that tells the grid, or there
                are fewer tokens than patches.
        """
        return self.bottleneck(x, lambda x: self._convolve(self.down(x)), self.up)

    def _convolve(self, z: Tensor) -> Tensor:
        """Add each image's own convolution to its patches, ``(B, N, d)`` to the same."""
        if self.grid is None:
            raise RuntimeError("InputConditionedAdapter needs attach(layer, backbone) first")
        h, w = self.grid.rows, self.grid.columns
        prefix = z.shape[1] - h * w
        if prefix < 0:
            raise RuntimeError(f"{z.shape[1]} tokens do not fill the grid of {h} x {w} patches")
        own = z[:, prefix:].transpose(1, 2)  # (B, d, h * w)
        d, area = own.shape[1], self.kernel_size**2
        kernels = self.kernels(own.mean(dim=2)).unflatten(1, (d, area))  # (B, d, k * k)
        # A grouped convolution would need the batch as groups, which no export allows.
        around = F.unfold(own.unflatten(2, (h, w)), self.kernel_size, padding=self.kernel_size // 2)
        around = around.unflatten(1, (d, area))  # (B, d * k * k, h * w) -> (B, d, k * k, h * w)
        moved = own + (kernels.unsqueeze(2) @ around).squeeze(
            2
        )  # (B, d, 1, h * w) -> (B, d, h * w)
        return torch.cat([z[:, :prefix], moved.transpose(1, 2)], dim=1)
