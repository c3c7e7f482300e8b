"""What the bottleneck adapters have in common."""

from __future__ import annotations

from collections.abc import Callable

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

NORMS = ("none", "in", "out")


class BaseAdapter(BaseModule):
    """Norm, activation, dropout and scale around two projections.

    A subclass makes the projections, implements ``forward(x)`` through
    :meth:`bottleneck` and ``reset_parameters``, which has to leave the output
    at zero. It may have a method ``statistics(x) -> dict[str, Tensor]``: what
    it returns stands in the ``extra`` of the layer's
    :class:`~mmdyt.structures.DispatchRecord`. With an attribute
    ``takes_stream = True`` the layer calls ``adapter(x, stream)`` for the sum
    ``stream + adapter(x)``, where an adapter has a faster way to it.

    Args:
        embed_dims (int): Width ``C`` of the stream. The layer fills it in.
        bottleneck_dims (int): Width ``d`` of the bottleneck. Defaults to 64.
        scale (float): Factor on the output. Defaults to 0.1.
        learnable_scale (bool): Whether the factor trains, from ``scale`` on.
            Defaults to ``False``.
        drop_rate (float): Dropout between the projections. Defaults to 0.1.
        norm (str): Where a LayerNorm stands: ``'in'``, before the first
            projection; ``'out'``, after the second; ``'none'``. Defaults to
            ``'none'``.
        init_cfg (dict | None): Defaults to ``None``.

    Raises:
        ValueError: If ``bottleneck_dims`` is below 1 or ``norm`` is unknown.
    """

    def __init__(
        self,
        embed_dims: int,
        bottleneck_dims: int = 64,
        scale: float = 0.1,
        learnable_scale: bool = False,
        drop_rate: float = 0.1,
        norm: str = "none",
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if bottleneck_dims < 1:
            raise ValueError(f"adapter.bottleneck_dims must be at least 1, got {bottleneck_dims}")
        if norm not in NORMS:
            raise ValueError(f"adapter.norm={norm!r} is unknown; choose one of {list(NORMS)}")
        self.scale = nn.Parameter(torch.tensor(float(scale))) if learnable_scale else scale
        self.norm_in = nn.LayerNorm(embed_dims) if norm == "in" else nn.Identity()
        self.norm_out = nn.LayerNorm(embed_dims) if norm == "out" else nn.Identity()
        self.act = nn.ReLU()
        self.drop = nn.Dropout(drop_rate)

    def reset_parameters(self) -> None:
        """Initialise the projections."""
        raise NotImplementedError

    def init_weights(self) -> None:
        """Initialise again: a parent's ``init_cfg`` may have overwritten zeros."""
        super().init_weights()
        for norm in (self.norm_in, self.norm_out):
            if isinstance(norm, nn.LayerNorm):
                norm.reset_parameters()
        self.reset_parameters()

    def bottleneck(
        self, x: Tensor, down: Callable[[Tensor], Tensor], up: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Run ``scale * norm_out(up(dropout(relu(down(norm_in(x))))))``.

        Args:
            x: Token stream, ``(B, N, C)``.
            down: Projection from ``C`` to ``d``.
            up: Projection from ``d`` to ``C``.

        Returns:
            What to add to the stream, ``(B, N, C)``.
        """
        return self.norm_out(up(self.drop(self.act(down(self.norm_in(x)))))) * self.scale
