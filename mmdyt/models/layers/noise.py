"""Tell whether a module draws random numbers."""

from __future__ import annotations

from mmcv.cnn.bricks import DropPath
from torch import nn
from torch.nn.modules.dropout import _DropoutNd


def draws_random(module: nn.Module) -> bool:
    """Whether a dropout or stochastic depth inside a module draws random numbers now."""
    return any(
        part.training and (part.p if isinstance(part, _DropoutNd) else part.drop_prob) > 0
        for part in module.modules()
        if isinstance(part, (_DropoutNd, DropPath))
    )
