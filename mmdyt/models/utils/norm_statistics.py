"""Run a forward pass that leaves no trace in batch norms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def keep_norm_statistics(model: nn.Module) -> Iterator[None]:
    """Keep the running statistics of batch norms as they are inside the context.

    In training they go on normalising by the statistics of the batch. Two
    passes a step then update the running ones once, and by that pass which
    inference runs.

    Args:
        model: Any module; layers with frozen statistics are left alone.
    """
    norms = [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm) and module.training and module.track_running_stats
    ]
    try:
        for norm in norms:
            norm.track_running_stats = False
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
