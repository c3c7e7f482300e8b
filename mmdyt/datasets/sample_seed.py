"""Random augmentations that depend on a sample's place in the run alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler


class NumberedIndex(int):
    """The index of a sample that knows how many its process drew before it."""

    number: int


class NumberedSampler(Sampler):
    """Number what a sampler draws, over all epochs or passes.

    Everything else is the sampler's own: its order, its length, ``set_epoch``.

    Args:
        sampler: The sampler of one process.
    """

    def __init__(self, sampler: Any) -> None:
        self.sampler = sampler
        self.number = 0
        if hasattr(sampler, "skip"):  # how mmengine moves an InfiniteSampler on a resume
            self.skip = self._skip

    def _skip(self, num_samples: int) -> None:
        self.sampler.skip(num_samples)
        self.number = num_samples

    def __iter__(self) -> Iterator[NumberedIndex]:
        """Draw indices."""
        for position in self.sampler:
            index = NumberedIndex(position)
            index.number = self.number
            self.number += 1
            yield index

    def __len__(self) -> int:
        """Count the samples of a pass in this process."""
        return len(self.sampler)

    def __getattr__(self, name: str) -> Any:
        return _of_wrapped(self, "sampler", name)


class SeededDataset(Dataset):
    """Seed the generators of ``random``, numpy and torch (CPU) before each sample.

    What a sample's transforms draw then depends on the run's seed, the rank
    and the number of samples drawn before, and not on which data worker loads
    it nor on what that worker loaded before: a resumed run draws what the
    uninterrupted one drew, and so do runs with other numbers of workers.

    Everything else is the data set's own, also what is set from outside, such as its
    ``pipeline`` by mmpretrain's ``SwitchRecipeHook``.

    Args:
        dataset: A data set that is indexed by :class:`NumberedIndex`.
        seed: Seed of the run.
    """

    def __init__(self, dataset: Any, seed: int) -> None:
        self.dataset = dataset
        self.seed = seed
        self.rank = get_rank()

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.dataset)

    def __getitem__(self, index: NumberedIndex) -> Any:
        """Load a sample."""
        entropy = np.random.SeedSequence((self.seed, self.rank, index.number))
        words = [int(word) for word in entropy.generate_state(3)]
        random.seed(words[0])
        np.random.seed(words[1])
        # Not torch.manual_seed: transforms run on the CPU, and a worker has no device.
        torch.default_generator.manual_seed(words[2])
        return self.dataset[int(index)]

    def __getattr__(self, name: str) -> Any:
        return _of_wrapped(self, "dataset", name)

    def __setattr__(self, name: str, value: Any) -> None:
        own = name in ("dataset", "seed", "rank")
        object.__setattr__(self if own else self.dataset, name, value)


def seed_samples(loader: DataLoader, seed: int) -> NumberedSampler | None:
    """Seed every sample of a data loader, before it is first iterated.

    Args:
        loader: The loader, whose data set and sampler are replaced.
        seed: Seed of the run.

    Returns:
        The sampler, whose ``number`` may be set at the start of an epoch;
        ``None`` if the loader has no sampler to number: it streams, or its
        batch sampler does not build on one.
    """
    owner = loader if loader.batch_sampler is None else loader.batch_sampler
    sampler = getattr(owner, "sampler", None)
    if sampler is None or isinstance(loader.dataset, IterableDataset):
        return None
    numbered = NumberedSampler(sampler)
    # DataLoader refuses these assignments; nothing has read the attributes yet.
    for each in (loader, loader.batch_sampler):
        if getattr(each, "sampler", None) is sampler:
            vars(each)["sampler"] = numbered
    vars(loader).update(dataset=SeededDataset(loader.dataset, seed), _iterator=None)
    return numbered


def _of_wrapped(wrapper: Any, inner: str, name: str) -> Any:
    if name.startswith("__"):  # pickle's and DataLoader's questions are about the wrapper
        raise AttributeError(name)
    return getattr(vars(wrapper)[inner], name)
