"""What the bottleneck adapters have in common."""

from __future__ import annotations

from collections.abc import Callable

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdyt.checks import check_choice, check_integer, check_number

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
        drop_rate (float): Dropout between the projections. Defaults to 0.1.
        norm (str): Where a LayerNorm stands: ``'in'``, before the first
            projection; ``'out'``, after the second and the scale, as the
            released code has it: it then sets the size of the output itself,
            whatever ``scale`` is; ``'none'``. Defaults to ``'none'``.
        init_cfg (dict | None): Defaults to ``None``.

    Raises:
        ValueError: If a value is outside its range or ``norm`` is unknown.
    """

    def __init__(
        self,
        embed_dims: int,
        bottleneck_dims: int = 64,
        scale: float = 0.1,
        drop_rate: float = 0.1,
        norm: str = "none",
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_integer("adapter.bottleneck_dims", bottleneck_dims, "[1, inf)")
        check_number("adapter.scale", scale, "(0, inf)")
        check_number("adapter.drop_rate", drop_rate, "[0, 1)")
        check_choice("adapter.norm", norm, NORMS)
        self.scale = scale
        self.norm_in = nn.LayerNorm(embed_dims) if norm == "in" else nn.Identity()
        self.norm_out = nn.LayerNorm(embed_dims) if norm == "out" else nn.Identity()
        self.act: nn.Module = nn.ReLU()
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
        """Run ``norm_out(scale * up(dropout(relu(down(norm_in(x))))))``.

        Args:
            x: Token stream, ``(B, N, C)``.
            down: Projection from ``C`` to ``d``.
            up: Projection from ``d`` to ``C``.

        Returns:
            What to add to the stream, ``(B, N, C)``.
        """
        return self.norm_out(up(self.drop(self.act(down(self.norm_in(x))))) * self.scale)
