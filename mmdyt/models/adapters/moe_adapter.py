"""The mixture-of-experts adapter."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor, nn

from mmdyt.checks import check_choice, check_integer
from mmdyt.models.adapters.base_adapter import BaseAdapter
from mmdyt.ops import mixed_linear
from mmdyt.registry import MODELS

ROUTER_NORMS = ("softmax", "none")


@MODELS.register_module()
class MoEAdapter(BaseAdapter):
    """A bottleneck adapter whose weights are mixed per image from experts.

    Paper equation 7: ``alpha = route(mean over all tokens of x)``, then one
    adapter with the weights and biases ``sum_e alpha_e W_e``. It costs about
    one adapter's multiply-adds whatever the number of experts. The experts'
    ``up`` and all biases start at zero, so that a freshly built model equals
    its frozen backbone.

    With records collected (:func:`mmdyt.models.utils.collect_dispatch`),
    ``alpha`` stands in ``record.extra['router']``, ``(B, E)``.

    Args:
        embed_dims (int): Width ``C`` of the stream. The layer fills it in.
        num_experts (int): Number ``E`` of experts. Defaults to 4.
        bottleneck_dims (int): Width ``d`` of the bottleneck. Defaults to 64.
        scale (float): Factor on the output. Defaults to 0.1.
        drop_rate (float): Dropout between the projections. Defaults to 0.1.
        norm (str): Where a LayerNorm stands: ``'in'``, before ``down``;
            ``'out'``, after ``up`` and the scale; ``'none'``. Defaults to
            ``'none'``.
        router_norm (str): Normalisation of ``alpha`` over the experts,
            ``'softmax'`` or ``'none'``; the paper does not name it. With
            either, the router starts near ``1 / E``. Defaults to ``'softmax'``.
        init_cfg (dict | None): Defaults to ``None``.

    Raises:
        ValueError: If a value is outside its range, or ``norm`` or
            ``router_norm`` is unknown.
    """

    def __init__(
        self,
        embed_dims: int,
        num_experts: int = 4,
        bottleneck_dims: int = 64,
        scale: float = 0.1,
        drop_rate: float = 0.1,
        norm: str = "none",
        router_norm: str = "softmax",
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(embed_dims, bottleneck_dims, scale, drop_rate, norm, init_cfg)
        check_integer("adapter.num_experts", num_experts, "[1, inf)")
        check_choice("adapter.router_norm", router_norm, ROUTER_NORMS)
        self.num_experts = num_experts
        self.router_norm = router_norm
        self.router = nn.Linear(embed_dims, num_experts)
        self.down_weight = nn.Parameter(torch.empty(num_experts, bottleneck_dims, embed_dims))
        self.down_bias = nn.Parameter(torch.empty(num_experts, bottleneck_dims))
        self.up_weight = nn.Parameter(torch.empty(num_experts, embed_dims, bottleneck_dims))
        self.up_bias = nn.Parameter(torch.empty(num_experts, embed_dims))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming-uniform ``down`` of each expert; zero biases and ``up``."""
        for expert in self.down_weight:
            nn.init.kaiming_uniform_(expert, a=math.sqrt(5))
        for tensor in (self.down_bias, self.up_weight, self.up_bias):
            nn.init.zeros_(tensor)
        nn.init.trunc_normal_(self.router.weight, std=0.02)
        start = 0.0 if self.router_norm == "softmax" else 1 / self.num_experts
        nn.init.constant_(self.router.bias, start)

    def route(self, x: Tensor) -> Tensor:
        """Share of each expert in each image's adapter.

        Args:
            x: Token stream, ``(B, N, C)``.

        Returns:
            ``alpha``, ``(B, E)``.
        """
        logits = self.router(x.mean(dim=1))
        return logits.softmax(dim=-1) if self.router_norm == "softmax" else logits

    def statistics(self, x: Tensor) -> dict[str, Tensor]:
        """What the records say of this adapter: ``router``, ``(B, E)``."""
        return {"router": self.route(x)}

    def forward(self, x: Tensor) -> Tensor:
        """Adapt every token with its image's mixture.

        Args:
            x: Token stream, ``(B, N, C)``.

        Returns:
            What to add to the stream, ``(B, N, C)``.
        """
        alpha = self.route(x)
        return self.bottleneck(
            x,
            partial(mixed_linear, alpha=alpha, weight=self.down_weight, bias=self.down_bias),
            partial(mixed_linear, alpha=alpha, weight=self.up_weight, bias=self.up_bias),
        )
