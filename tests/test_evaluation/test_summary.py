"""Means over seeds, tasks and groups, by hand."""

import pytest

from mmdyt.evaluation.summary import Cell, group_means, layer_rates, make_cell


def record(value, status="done"):
    return dict(status=status, metrics={"accuracy/top1": value} if status == "done" else {})


def test_a_cell_counts_what_is_not_there():
    records = {0: record(80.0), 1: record(84.0), 2: record(0, "failed"), 3: None}
    cell = make_cell(records, "accuracy/top1")
    assert cell == Cell({0: 80.0, 1: 84.0}, failed=(2,), missing=(3,))
    assert cell.mean == 82.0 and not cell.complete
    assert str(cell) == "82.00 ± 2.83 (1 failed) (1 missing)"
    assert str(Cell({}, missing=(0, 1))) == "(2 missing)"
    assert str(Cell({0: 5.0})) == "5.00" and Cell({0: 5.0}).complete


def test_the_mean_is_that_of_the_groups_means():
    """VTAB-1K's score: a group with many tasks weighs no more than one with few."""
    cells = {"a": Cell({0: 90.0}), "b": Cell({0: 70.0}), "c": Cell({0: 40.0})}
    means = group_means(cells, dict(a="natural", b="natural", c="structured"))
    assert {name: cell.mean for name, cell in means.items()} == dict(
        natural=80.0, structured=40.0, mean=60.0
    )


def test_tasks_without_groups_count_alike():
    cells = {"a": Cell({0: 90.0}), "b": Cell({0: 70.0}), "c": Cell({0: 40.0})}
    means = group_means(cells, dict.fromkeys(cells, ""))
    assert list(means) == ["mean"] and means["mean"].mean == pytest.approx(200 / 3)


def test_a_gap_is_not_averaged_over():
    cells = {
        "a": Cell({0: 90.0, 1: 92.0}),
        "b": Cell({0: 70.0}, missing=(1,)),
        "c": Cell({1: 50.0}, failed=(0,)),
    }
    means = group_means(cells, dict(a="x", b="x", c="y"))
    assert means["x"] == Cell({0: 80.0}, missing=(1,))
    assert means["mean"].values == {} and means["mean"].mean is None
    assert means["mean"].failed == (0,) and means["mean"].missing == (1,)


def test_rates_of_a_layer_with_two_dispatchers_are_one():
    metrics = {
        "dispatch/rate_01_mlp": 0.2,
        "dispatch/rate_00_attn": 1.0,
        "dispatch/rate_00_mlp": 0.5,
        "dispatch/activation_rate": 0.6,
    }
    assert layer_rates(dict(metrics=metrics)) == [0.75, 0.2]
