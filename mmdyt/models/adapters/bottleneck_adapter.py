"""The adapter beside a dispatched branch."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mmdyt.models.adapters.base_adapter import BaseAdapter
from mmdyt.models.layers import InputGate
from mmdyt.registry import MODELS


@MODELS.register_module()
class BottleneckAdapter(BaseAdapter):
    """``scale * up(dropout(relu(down(x))))`` on the un-normalised stream.

    Paper equation 1; with ``dispatch=None`` this is AdaptFormer. ``up`` and
    both biases start at zero, so that a freshly built model equals its frozen
    backbone.

    Args:
        embed_dims (int): Width ``C`` of the stream. The layer fills it in.
        bottleneck_dims (int): Width ``d`` of the bottleneck. Defaults to 64.
        scale (float): Factor on the output. Defaults to 0.1.
        drop_rate (float): Dropout between the projections. Defaults to 0.1.
        norm (str): Where a LayerNorm stands: ``'in'``, before ``down``;
            ``'out'``, after ``up`` and the scale; ``'none'``. Defaults to
            ``'none'``.
        gate (bool): Whether each image multiplies the output by the mean of its
            tokens' gates, ``mean_N sigmoid(w x + b)``, as in UniPELT. Defaults to
            ``False``.
        init_cfg (dict | None): Defaults to ``None``.

    Raises:
        ValueError: If a value is outside its range or ``norm`` is unknown.
    """

    takes_stream = True

    def __init__(
        self,
        embed_dims: int,
        bottleneck_dims: int = 64,
        scale: float = 0.1,
        drop_rate: float = 0.1,
        norm: str = "none",
        gate: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(embed_dims, bottleneck_dims, scale, drop_rate, norm, init_cfg)
        self.down = nn.Linear(embed_dims, bottleneck_dims)
        self.up = nn.Linear(bottleneck_dims, embed_dims)
        self.gate = InputGate(embed_dims, 1, "average", bias=True) if gate else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming-uniform ``down``; zero biases and ``up``."""
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        for tensor in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(tensor)

    def forward(self, x: Tensor, stream: Tensor | None = None) -> Tensor:
        """Adapt every token.

        Args:
            x: Token stream, ``(B, N, C)``.
            stream: What to add the result to, ``(B, N, C)``. It is not
                modified. Defaults to ``None``.

        Returns:
            What to add to the stream, or with ``stream`` the sum, ``(B, N, C)``.
        """
        if self.gate is not None:
            out = self.gate(x).unsqueeze(1) * self.bottleneck(x, self.down, self.up)
            return out if stream is None else stream + out
        if stream is None:
            return self.bottleneck(x, self.down, self.up)
        hidden = self.drop(self.act(self.down(self.norm_in(x))))  # (B, N, d)
        if not isinstance(self.norm_out, nn.Identity) or hidden.dtype != stream.dtype:
            # Autocast would narrow the stream, were it a part of the product.
            return stream + self.norm_out(self.up(hidden) * self.scale)
        # Fewer passes over C channels: scale the narrow side, add inside the product.
        rows = stream.flatten(0, 1), (hidden * self.scale).flatten(0, 1)  # (B * N, C or d)
        out = torch.addmm(*rows, self.up.weight.t()).add_(self.up.bias * self.scale)
        return out.view(stream.shape)
