"""Means over seeds, tasks and groups, by hand."""

import math

import pytest
from mmengine.config import Config

from mmdyt.evaluation.summary import Cell, group_means, layer_rates, make_cell, task_mean
from mmdyt.visualization.suite_figures import draw_rates_by_layer
from tests.conftest import REPO


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


def test_layers_without_dispatchers_keep_their_place():
    rates = layer_rates(dict(metrics={"dispatch/rate_02_mlp": 0.5}))
    assert [math.isnan(rate) for rate in rates] == [True, True, False]
    (line, *_) = draw_rates_by_layer({"dyt": [rates]}, {}).axes[0].lines
    assert line.get_xdata()[line.get_ydata() == 0.5] == [2] and "0.50" in line.get_label()


# Published accuracies of the 19 tasks, in the suite's order.
VTAB = {
    "full": """68.9 87.7 64.3 97.2 86.9 87.4 38.8  79.7 95.7 84.2 73.9
        56.3 58.6 41.7 65.5 57.5 46.7 25.7 29.1""",
    "lora": """67.1 91.4 69.4 98.8 90.4 85.3 54.0  84.9 95.3 84.4 73.6
        82.9 69.2 49.8 78.5 75.7 47.1 31.0 44.0""",
    "adaptformer": """70.8 91.2 70.5 99.1 90.9 86.6 54.8  83.0 95.8 84.4 76.3
        81.9 64.3 49.3 80.3 76.3 45.7 31.7 41.1""",
    "ssf": """69.0 92.6 75.1 99.4 91.8 90.2 52.9  87.4 95.9 87.4 75.5
        75.9 62.3 53.3 80.6 77.3 54.9 29.5 37.9""",
}
BOTH_MEANS = {
    "full": (65.57, 68.97),
    "lora": (72.25, 74.60),
    "adaptformer": (72.32, 74.75),
    "ssf": (73.10, 75.69),
}


def test_both_means_of_vtab_are_the_published_ones():
    """The mean of 19 tasks and that of three groups: one run, two figures in use."""
    tasks = Config.fromfile(REPO / "configs/suites/vtab1k.py").tasks
    groups = {name: task.group for name, task in tasks.items()}
    for method, values in VTAB.items():
        cells = {n: Cell({0: float(v)}) for n, v in zip(tasks, values.split(), strict=True)}
        found = task_mean(cells).mean, group_means(cells, groups)["mean"].mean
        assert found == pytest.approx(BOTH_MEANS[method], abs=0.011)
