"""Optimiser wrappers beside mmengine's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.runner.amp import autocast
from torch import nn

from mmdyt.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """Train in bfloat16 autocast, on CPUs too, where mmengine's ``AmpOptimWrapper`` refuses.

    bfloat16 has float32's range, so no loss is scaled. It pays where a CPU
    multiplies in bfloat16 (AMX, AVX512-BF16), and costs time where it does not.

    Args:
        **kwargs: As mmengine's ``OptimWrapper``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Cast what a training step computes on ``model``."""
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield
