"""Random numbers that depend on the iteration alone."""

from __future__ import annotations

import random

import numpy as np
import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook

from mmdyt.registry import HOOKS


@HOOKS.register_module()
class IterSeedHook(Hook):
    """Seed all generators before every training iteration.

    The noise of the dispatchers and of dropout then depends on the run's seed,
    the iteration and the rank, and not on what ran before. A run that was
    killed and resumed ends in the same weights as an uninterrupted one,
    without random states in the checkpoint.

    Augmentations drawn in worker processes have generators of their own, which
    mmengine seeds when a worker starts: with ``persistent_workers=False`` they
    start afresh at every epoch of either run. Iteration-based loops skip the
    batches that were seen before a resume; only worker processes
    (``num_workers`` of 1 or more) then draw what they had drawn.
    """

    priority = "VERY_HIGH"

    def before_train_epoch(self, runner) -> None:
        """Seed what the first batch of an epoch draws in this process."""
        self._seed(runner)

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Seed what an iteration draws, and the next batch in this process."""
        self._seed(runner)

    @staticmethod
    def _seed(runner) -> None:
        step = runner.iter * get_world_size() + get_rank()
        seed = (runner.seed * 1_000_003 + step) % 2**32  # distinct for seeds 0, 1, 2 ...
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)  # all devices
