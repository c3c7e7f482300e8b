"""The dynamic adapter of DAPT."""

from __future__ import annotations

import math

from torch import Tensor, nn

from mmdyt.models.adapters.base_adapter import BaseAdapter
from mmdyt.registry import MODELS


@MODELS.register_module()
class DynamicAdapter(BaseAdapter):
    """A bottleneck adapter whose output every token scales for itself.

    DAPT (Zhou et al., CVPR 2024, arXiv 2403.01439), as its released code:
    ``s * up(dropout(gelu(down(u))))`` with ``u = LN(x)`` and the scale
    ``s = relu(w_s u + b_s)`` of each token. There it reads the MLP's normalised
    input; here, beside the MLP, the stream, for whose norm its own LayerNorm
    stands in (our decision). ``up`` and the biases start at zero, so that a
    freshly built model equals its frozen backbone. About half of the tokens
    have the scale 0, and no gradient, at first.

    Args:
        embed_dims (int): Width ``C`` of the stream. The layer fills it in.
        bottleneck_dims (int): Width ``d`` of the bottleneck. Defaults to 64.
        scale (float): Constant factor beside the tokens' own. Defaults to 1.0,
            as published.
        drop_rate (float): Dropout before ``up``. Defaults to 0.1.
        norm (str): As :class:`BaseAdapter`. Defaults to ``'in'``, as published.
        init_cfg (dict | None): Defaults to ``None``.

    Raises:
        ValueError: If a value is outside its range or ``norm`` is unknown.
    """

    def __init__(
        self,
        embed_dims: int,
        bottleneck_dims: int = 64,
        scale: float = 1.0,
        drop_rate: float = 0.1,
        norm: str = "in",
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(embed_dims, bottleneck_dims, scale, drop_rate, norm, init_cfg)
        self.act = nn.GELU()
        self.down = nn.Linear(embed_dims, bottleneck_dims)
        self.up = nn.Linear(bottleneck_dims, embed_dims)
        self.token_scale = nn.Linear(embed_dims, 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming-uniform ``down`` and ``token_scale``; zero biases and ``up``."""
        for linear in (self.down, self.token_scale):
            nn.init.kaiming_uniform_(linear.weight, a=math.sqrt(5))
            nn.init.zeros_(linear.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Adapt every token.

        Args:
            x: Token stream, ``(B, N, C)``.

        Returns:
            What to add to the stream, ``(B, N, C)``.
        """
        u = self.norm_in(x)
        adapted = self.up(self.drop(self.act(self.down(u))))
        scale = self.token_scale(u).relu() * self.scale  # (B, N, 1)
        return self.norm_out(scale * adapted)
