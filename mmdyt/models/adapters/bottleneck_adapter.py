"""The adapter beside a dispatched branch."""

from __future__ import annotations

import math

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdyt.registry import MODELS


@MODELS.register_module()
class BottleneckAdapter(BaseModule):
    """``scale * up(dropout(relu(down(x))))`` on the un-normalised stream.

    Paper equation 1; with ``dispatch=None`` this is AdaptFormer. ``up`` and
    both biases start at zero, so that a freshly built model equals its frozen
    backbone.

    Args:
        embed_dims (int): Width ``C`` of the stream. The layer fills it in.
        bottleneck_dims (int): Width ``d`` of the bottleneck. Defaults to 64.
        scale (float): Factor on the output. Defaults to 0.1.
        drop_rate (float): Dropout between the projections. Defaults to 0.1.
        init_cfg (dict | None): Defaults to ``None``.

    Raises:
        ValueError: If ``bottleneck_dims`` is below 1.
    """

    def __init__(
        self,
        embed_dims: int,
        bottleneck_dims: int = 64,
        scale: float = 0.1,
        drop_rate: float = 0.1,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if bottleneck_dims < 1:
            raise ValueError(f"adapter.bottleneck_dims must be at least 1, got {bottleneck_dims}")
        self.scale = scale
        self.down = nn.Linear(embed_dims, bottleneck_dims)
        self.act = nn.ReLU()
        self.drop = nn.Dropout(drop_rate)
        self.up = nn.Linear(bottleneck_dims, embed_dims)
        self._reset()

    def _reset(self) -> None:
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        for tensor in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(tensor)

    def init_weights(self) -> None:
        """Initialise again: a parent's ``init_cfg`` may have overwritten ``up``."""
        super().init_weights()
        self._reset()

    def forward(self, x: Tensor) -> Tensor:
        """Adapt every token.

        Args:
            x: Token stream, ``(B, N, C)``.

        Returns:
            What to add to the stream, ``(B, N, C)``.
        """
        return self.up(self.drop(self.act(self.down(x)))) * self.scale
