"""What a sample draws depends on its place in the run, not on who loads it."""

import itertools
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler, worker_init_fn
from torch.utils.data import DataLoader, Dataset, IterableDataset

from mmdyt.datasets.sample_seed import seed_samples

SIZE, BATCH = 10, 3


class Draws(Dataset):
    """Each sample is its index and a number from each generator."""

    name = "draws"

    def __len__(self) -> int:
        return SIZE

    def __getitem__(self, index: int) -> list[float]:
        return [index, random.random(), np.random.rand(), float(torch.rand(()))]


def loader(sampler=DefaultSampler, seed: int = 0, **options) -> tuple[DataLoader, object]:
    dataset = Draws()
    options = dict(sampler=sampler(dataset, seed=0), batch_size=BATCH) | options
    if options.get("num_workers"):  # as mmengine sets it
        options["worker_init_fn"] = lambda worker: worker_init_fn(worker, 2, 0, 0)
    built = DataLoader(dataset, collate_fn=list, **options)
    return built, seed_samples(built, seed)


def epochs(loader: DataLoader, numbered, count: int = 2, first: int = 0) -> list:
    seen = []
    for epoch in range(first, first + count):
        numbered.number = epoch * len(numbered)
        numbered.set_epoch(epoch)
        seen.append([sample for batch in loader for sample in batch])
    return seen


@pytest.mark.parametrize(
    "workers", [dict(num_workers=2), dict(num_workers=2, persistent_workers=True)]
)
def test_epochs_do_not_depend_on_workers_nor_on_earlier_epochs(workers):
    expected = epochs(*loader())
    assert epochs(*loader(**workers)) == expected
    assert epochs(*loader(**workers), count=1, first=1) == expected[1:], "resumed"


def test_all_draws_differ():
    draws = [sample[1:] for epoch in epochs(*loader()) for sample in epoch]
    other = [sample[1:] for epoch in epochs(*loader(seed=1)) for sample in epoch]
    assert len({number for sample in draws + other for number in sample}) == 2 * 2 * SIZE * 3


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_infinite_sampler_goes_on_where_it_is_moved_to(num_workers):
    straight, _ = loader(InfiniteSampler)
    expected = list(itertools.islice(straight, 9))  # over more than two passes
    moved, numbered = loader(InfiniteSampler, num_workers=num_workers)
    numbered.skip(5 * BATCH)
    assert list(itertools.islice(moved, 4)) == expected[5:]


def test_wrappers_are_what_they_wrap_and_streams_are_left_alone():
    built, numbered = loader()
    assert built.dataset.name == "draws" and len(built.dataset) == SIZE
    inner = built.dataset.dataset
    built.dataset.name = "other"  # as hooks that switch the pipeline of a data set do
    assert inner.name == built.dataset.name == "other" and "name" not in vars(built.dataset)
    assert len(numbered) == SIZE and numbered.seed == 0
    assert not hasattr(numbered, "skip") and hasattr(loader(InfiniteSampler)[1], "skip")

    class Stream(IterableDataset):
        def __iter__(self):
            return iter(range(3))

    assert seed_samples(stream := DataLoader(Stream()), 0) is None
    assert isinstance(stream.dataset, Stream)
