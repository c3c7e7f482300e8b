"""The loss that holds the activation rate near its target."""

from __future__ import annotations

from collections.abc import Sequence

import mmengine.dist as dist
import torch
from torch import Tensor

from mmdyt.structures import DispatchRecord


def activation_rate(records: Sequence[DispatchRecord]) -> Tensor:
    """Mean activation rate over dispatchers, images and non-prefix tokens.

    Every dispatcher weighs the same, whatever its number of tokens.

    Args:
        records: The records of one or more forward passes, not empty.

    Returns:
        A scalar in [0, 1] with the gradient of the masks.
    """
    return torch.stack([record.rate().mean() for record in records]).mean()


def token_rate_loss(rate: Tensor, target_rate: float) -> Tensor:
    """``(rate - r) ** 2``, one mean over the whole model and the whole batch.

    Paper section 3.5: layers, and images, are free to differ. With several
    processes the mean runs over the images of all of them; the averaged
    gradients then equal those of one process with the joint batch, which the
    mean of per-process squares would not give.

    Args:
        rate: :func:`activation_rate` of this process's records.
        target_rate: Wanted share ``r`` of active tokens.

    Returns:
        A scalar.
    """
    everywhere = rate.detach().clone()
    dist.all_reduce(everywhere, op="mean")
    # The value of all processes with the gradient of this one.
    return (everywhere + rate - rate.detach() - target_rate) ** 2
