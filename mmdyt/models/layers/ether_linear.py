"""A linear layer whose frozen weight is reflected by trained directions."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks.wrappers import Linear
from torch import Tensor, nn

from mmdyt.models.layers.tuned_module import TunedModule
from mmdyt.ops import reflect

VARIANTS = ("ether", "ether_plus")
SIDES = ("in", "out", "both")


class Ether(TunedModule):
    """Directions of the reflections on both sides of a weight.

    Args:
        widths: Channels on each side that is reflected, by ``'in'`` or ``'out'``.
        num_groups: Parts of the output, each with directions of its own.
        num_blocks: Blocks ``n`` of a reflection.
        plus: Whether to add the second direction of ETHER+, which starts as
            minus the first, so that the weight starts unchanged.
    """

    def __init__(self, widths: dict[str, int], num_groups: int, num_blocks: int, plus: bool):
        super().__init__()
        # Two products of rank n a reflection; those of the input are one for each group.
        directions = num_blocks * (2 if plus else 1)
        self.flops_per_token = 2 * directions * num_groups * sum(widths.values())
        for side, width in widths.items():
            u = torch.empty(num_groups, num_blocks, width // num_blocks)
            nn.init.kaiming_uniform_(u.flatten(0, 1), a=math.sqrt(5))  # a view of u
            self.register_parameter(f"u_{side}", nn.Parameter(u))
            self.register_parameter(f"v_{side}", nn.Parameter(-u.clone()) if plus else None)

    def forward(self, x: Tensor, side: str, group: int) -> Tensor:
        """Reflect ``(..., width)`` on one side of one part of the output."""
        u, v = getattr(self, f"u_{side}", None), getattr(self, f"v_{side}", None)
        return x if u is None else reflect(x, u[group], None if v is None else v[group])


class EtherLinear(nn.Linear):
    """``y = H_out W H_in x + b``: the input, or the output before its bias, is reflected.

    ETHER (arXiv 2405.20271). It is made of a built linear layer, in place, and
    keeps its weights' names. A fused projection to queries, keys and values has
    directions for each of the three.
    """

    ether: Ether
    num_groups: int

    @classmethod
    def from_linear(
        cls, name: str, linear: nn.Module, variant: str, num_blocks: int, sides: str
    ) -> EtherLinear:
        """Give a linear layer its directions.

        Args:
            name: What the config calls the layer; ``'qkv'`` has three groups.
            linear: A plain linear layer.
            variant: ``'ether'`` or ``'ether_plus'``.
            num_blocks: Blocks ``n`` of a reflection.
            sides: ``'in'``, ``'out'`` or ``'both'``.

        Returns:
            The same object, now of this class.

        Raises:
            ValueError: If the layer is no plain linear layer, or ``num_blocks``
                does not divide its channels.
        """
        if not isinstance(linear, nn.Linear) or type(linear) not in (nn.Linear, Linear):
            raise ValueError(
                f"backbone.ether.targets: {name!r} is a {type(linear).__name__}, which is not the "
                "plain linear layer that ETHER reflects"
            )
        groups = 3 if name == "qkv" else 1
        if linear.out_features != groups * linear.in_features and groups > 1:
            raise ValueError(
                f"backbone.ether.targets: {name!r} has {linear.out_features} rows, not queries, "
                f"keys and values of {linear.in_features} each"
            )
        widths = {"in": linear.in_features, "out": linear.out_features // groups}
        widths = {side: width for side, width in widths.items() if sides in (side, "both")}
        for side, width in widths.items():
            if width % num_blocks:
                raise ValueError(
                    f"backbone.ether.num_blocks={num_blocks} does not divide the {width} channels "
                    f"on side {side!r} of {name!r}"
                )
        linear.__class__ = cls
        assert isinstance(linear, cls)
        linear.num_groups = groups
        linear.ether = Ether(widths, groups, num_blocks, plus=variant == "ether_plus")
        return linear

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., in_features)`` to ``(..., out_features)``."""
        parts = [
            self.ether(F.linear(self.ether(x, "in", group), rows), "out", group)
            for group, rows in enumerate(self.weight.chunk(self.num_groups))
        ]
        y = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
        return y if self.bias is None else y + self.bias

    @torch.no_grad()
    def merge(self) -> nn.Linear:
        """Fold the reflections into the weight, in place.

        Returns:
            The same object, a plain ``nn.Linear`` again.

        Raises:
            ValueError: If a direction is not finite or zero.
        """
        for name, direction in self.ether.named_parameters():
            norms = direction.norm(dim=-1)
            if not (torch.isfinite(norms) & (norms > 0)).all():
                raise ValueError(f"ether.{name} has a direction that is zero or not finite")
        for group, rows in enumerate(self.weight.chunk(self.num_groups)):
            merged = self.ether(self.ether(rows, "in", group).t(), "out", group).t()
            rows.copy_(merged)
        del self.ether, self.num_groups
        self.__class__ = nn.Linear  # type: ignore[assignment]
        return self
