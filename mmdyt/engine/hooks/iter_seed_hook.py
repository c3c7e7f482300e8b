"""Random numbers that depend on the iteration and on the sample alone."""

from __future__ import annotations

import random

import numpy as np
import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook

from mmdyt.datasets.sample_seed import NumberedSampler, seed_samples
from mmdyt.registry import HOOKS


@HOOKS.register_module()
class IterSeedHook(Hook):
    """Seed all generators before every training iteration and every sample.

    The noise of the dispatchers and of dropout then depends on the run's seed,
    the iteration and the rank; what the transforms of a sample draw depends on
    the seed, the rank and the number of samples drawn before it
    (:class:`mmdyt.datasets.sample_seed.SeededDataset`). A run that was killed
    and resumed ends in the same weights as an uninterrupted one, in epochs and
    in iterations, with any number of data workers, persistent or not, without
    random states in the checkpoint and without loading what was seen before.

    Two kinds of loaders keep the random streams of their workers, which start
    afresh at a resume: those of iterable data sets, and batch samplers that do
    not build on a ``sampler``. Transforms that keep samples of earlier calls,
    such as cached mixing, start with an empty cache.
    """

    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self._sampler: NumberedSampler | None = None

    def before_train(self, runner) -> None:
        """Seed the samples of the training set."""
        if self._sampler is None:
            self._sampler = seed_samples(runner.train_dataloader, runner.seed)
            if self._sampler is None:
                runner.logger.warning(
                    "the training loader has no sampler to number its samples by: random "
                    "transforms of a resumed run will differ from those of an uninterrupted one"
                )
            loop = runner.train_loop
            if hasattr(loop, "dataloader_iterator"):
                # Old versions of mmengine have started their workers by now.
                loop.dataloader_iterator = type(loop.dataloader_iterator)(loop.dataloader)

    def before_train_epoch(self, runner) -> None:
        """Seed what the first batch of an epoch draws in this process."""
        if self._sampler is not None:
            self._sampler.number = runner.epoch * len(self._sampler)
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
