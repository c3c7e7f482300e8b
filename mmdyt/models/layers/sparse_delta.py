"""Frozen operations with a few trained values, and modules beside or behind them."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn

from mmdyt.models.layers.tuned_module import TunedModule


class SparseDelta(TunedModule):
    """What is added to some values of a frozen tensor; zero at first.

    Args:
        index: Their positions in the flattened tensor, ``(K,)``, int64.
    """

    index: Tensor

    def __init__(self, index: Tensor) -> None:
        super().__init__()
        self.register_buffer("index", index)
        self.values = nn.Parameter(torch.zeros(len(index)))

    def forward(self, tensor: Tensor) -> Tensor:
        """The tensor with the values added; its gradient is gathered at their places."""
        return tensor.flatten().index_add(0, self.index, self.values).view_as(tensor)


class LowRank(TunedModule):
    """LoRA beside some rows of a linear layer: ``droppath(B A dropout(x))``.

    Args:
        in_features: Columns of the weight.
        rows: First row and the one behind the last.
        rank: ``r``.
        drop_rate: Dropout of the input.
        drop_path_rate: Stochastic depth of the output.
    """

    def __init__(
        self,
        in_features: int,
        rows: tuple[int, int],
        rank: int,
        drop_rate: float,
        drop_path_rate: float,
    ) -> None:
        super().__init__()
        self.rows = rows
        self.drop = nn.Dropout(drop_rate)
        width = rows[1] - rows[0]
        # No linear layers: mmpretrain draws all of those inside an MLP anew.
        self.down = nn.Parameter(torch.empty(rank, in_features))
        self.up = nn.Parameter(torch.zeros(width, rank))
        self.drop_path = DropPath(drop_path_rate)
        self.flops_per_token = rank * (in_features + width)
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """What to add to those channels of the output ``y``."""
        return self.drop_path(F.linear(F.linear(self.drop(x), self.down), self.up))


class OutputAdapter(TunedModule):
    """A bottleneck with GELU on some channels of a linear layer's output.

    Without the dropout of 0.1 that SPT's released code has on its input.

    Args: as :class:`LowRank`, whose input and dropout it does not use.
    """

    def __init__(
        self,
        in_features: int,
        rows: tuple[int, int],
        rank: int,
        drop_rate: float,
        drop_path_rate: float,
    ) -> None:
        super().__init__()
        self.rows = rows
        width = rows[1] - rows[0]
        self.down = nn.Parameter(torch.empty(rank, width))
        self.down_bias = nn.Parameter(torch.zeros(rank))
        self.up = nn.Parameter(torch.zeros(width, rank))
        self.up_bias = nn.Parameter(torch.zeros(width))
        self.drop_path = DropPath(drop_path_rate)
        self.flops_per_token = 2 * rank * width
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """What to add to those channels of the output ``y``."""
        hidden = F.gelu(F.linear(y[..., self.rows[0] : self.rows[1]], self.down, self.down_bias))
        return self.drop_path(F.linear(hidden, self.up, self.up_bias))


class SPTLinear(nn.Linear):
    """A linear layer, made in place, with deltas and modules in ``spt``."""

    spt: Any  # nn.ModuleDict

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., in_features)`` to ``(..., out_features)``."""
        y = F.linear(x, *_tuned(self))
        for part in self.spt.values():
            if not isinstance(part, SparseDelta):
                first, last = part.rows
                y = y + F.pad(part(x, y), (first, y.shape[-1] - last))
        return y

    @torch.no_grad()
    def merge(self) -> nn.Module:
        """Fold all but adapters into the weight, in place; return itself."""
        for name, part in list(self.spt.items()):
            if isinstance(part, SparseDelta):
                tensor = getattr(self, name)
                tensor.copy_(part(tensor))
            elif isinstance(part, LowRank):
                self.weight[slice(*part.rows)] += part.up @ part.down
            else:
                continue
            del self.spt[name]
        return _plain_again(self, nn.Linear)


class SPTLayerNorm(nn.LayerNorm):
    """A LayerNorm, made in place, with deltas in ``spt``."""

    spt: Any  # nn.ModuleDict

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(..., C)``."""
        return F.layer_norm(x, self.normalized_shape, *_tuned(self), self.eps)

    @torch.no_grad()
    def merge(self) -> nn.Module:
        """Fold the deltas, in place; return itself."""
        for name in list(self.spt):
            getattr(self, name).copy_(self.spt[name](getattr(self, name)))
            del self.spt[name]
        return _plain_again(self, nn.LayerNorm)


def _tuned(module: nn.Module) -> tuple[Tensor, Tensor | None]:
    """Weight and bias with their deltas."""
    spt: Any = module.get_submodule("spt")
    pair = (getattr(module, name) for name in ("weight", "bias"))
    weight, bias = (
        spt[name](tensor) if name in spt else tensor
        for name, tensor in zip(("weight", "bias"), pair)
    )
    return weight, bias


def _plain_again(module: nn.Module, cls: type[nn.Module]) -> nn.Module:
    if not list(module.get_submodule("spt").children()):
        del module.spt
        module.__class__ = cls  # type: ignore[assignment]
    return module
