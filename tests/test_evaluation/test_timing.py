"""Timing in turns, and memory that is known beforehand."""

import torch
from torch import nn

from mmdyt.evaluation.timing import (
    Spread,
    peak_memory,
    ratios,
    saved_activations,
    time_alternately,
)


def test_functions_take_turns_and_warm_up_once():
    calls = []
    functions = {name: (lambda name=name: calls.append(name)) for name in "abc"}
    seconds = time_alternately(functions, rounds=3)
    assert calls == list("abc" + "abc" + "bca" + "cab")
    assert {name: len(values) for name, values in seconds.items()} == dict(a=3, b=3, c=3)


def test_a_spent_budget_leaves_three_rounds():
    assert len(time_alternately({"a": lambda: None}, rounds=50, budget=0)["a"]) == 3


def test_ratios_compare_within_a_round():
    """A machine that halves its speed in the second round changes no ratio."""
    assert ratios(dict(a=[3.0, 6.0], b=[2.0, 4.0]), "a", "b") == Spread(1.5, 1.5, 1.5)


def test_spread_of_five_values():
    assert Spread.of([5.0, 1.0, 3.0, 2.0, 4.0]) == Spread(2.0, 3.0, 4.0)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0)
    assert str(Spread(0.1, 0.2, 0.34567).times(1e3)) == "200 [100, 345.7]"
    assert f"{Spread(0.1, 0.25, 0.5):.1%}" == "25.0% [10.0%, 50.0%]"


def test_peak_memory_sees_what_a_call_allocates_and_frees():
    peak = peak_memory(lambda: torch.ones(64 * 2**18).sum())  # 64 MiB
    assert peak is None or 60 < peak < 80


def test_saved_activations_are_counted_once_and_without_weights():
    model = nn.Sequential(nn.Linear(256, 512), nn.GELU(), nn.Linear(512, 1))
    x = torch.randn(1024, 256)  # 1 MiB, kept for the first weight's gradient
    out, mib = saved_activations(model, lambda: model(x))
    assert out.shape == (1024, 1)
    assert mib == 1 + 2 + 2  # the input, what enters GELU and what leaves it
    model.requires_grad_(False)
    assert saved_activations(model, lambda: model(x))[1] == 0
