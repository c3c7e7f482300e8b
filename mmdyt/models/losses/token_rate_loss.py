"""The loss that holds the activation rate near its target."""

from __future__ import annotations

from collections.abc import Sequence

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


def token_rate_loss(records: Sequence[DispatchRecord], target_rate: float) -> Tensor:
    """``(mean(M) - r) ** 2``, one mean over the whole model.

    Paper section 3.5: layers, and images, are free to differ.

    Args:
        records: The records of a training pass.
        target_rate: Wanted share ``r`` of active tokens.

    Returns:
        A scalar.
    """
    return (activation_rate(records) - target_rate) ** 2
