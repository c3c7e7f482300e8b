"""Paired comparisons: tasks are the unit, pairs are what both methods ran, verdicts follow."""

import numpy as np
import pytest
from scipy import stats

from projects.study.intervals import Interval, judge, paired_differences, task_interval


def runs(values: dict[str, list[float]]) -> dict[tuple[str, int], float]:
    return {(task, seed): v for task, each in values.items() for seed, v in enumerate(each)}


def test_only_what_both_ran_is_compared():
    left = runs({"a": [3.0, 5.0], "b": [1.0]})
    right = runs({"a": [1.0], "b": [4.0], "c": [9.0]})
    assert paired_differences(left, right) == {"a": [2.0], "b": [-3.0]}


def test_the_interval_is_students_over_the_tasks_means():
    rng = np.random.default_rng(0)
    differences = {name: list(rng.normal(1, 2, size=3)) for name in "abcde"}
    found = task_interval(differences)
    expected = stats.ttest_1samp([np.mean(each) for each in differences.values()], 0)
    low, high = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.tasks, found.pairs) == (5, 15)
    # A p-value of 5 % and an interval that touches zero are the same thing.
    assert (expected.pvalue < 0.05) == (found.low > 0 or found.high < 0)


def test_a_task_with_more_seeds_weighs_no_more():
    few = task_interval({"a": [1.0], "b": [5.0], "c": [3.0]})
    many = task_interval({"a": [1.0] * 9, "b": [5.0], "c": [3.0]})
    assert (few.mean, few.low, few.high) == pytest.approx((many.mean, many.low, many.high))


def test_equal_methods_get_a_verdict_in_one_of_twenty_studies():
    """Tasks differ in how they like a method; three seeds of each do not make 21 tasks."""
    rng = np.random.default_rng(1)
    studies = 2000
    wrong = 0
    for _ in range(studies):
        task = rng.normal(0, 1, size=(7, 1))
        differences = dict(enumerate(task + rng.normal(0, 0.3, size=(7, 3))))
        wrong += judge(task_interval(differences)) != "undecided"
    assert wrong / studies == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(
    ("low", "high", "margin", "verdict"),
    [
        (0.1, 2.0, 0.0, "agrees"),
        (-0.1, 2.0, 0.0, "undecided"),
        (-2.0, -0.1, 0.0, "does not agree"),
        (-0.5, 0.2, 1.0, "agrees"),  # not worse by a point
        (-2.0, -0.5, 1.0, "undecided"),
        (-3.0, -1.1, 1.0, "does not agree"),
    ],
)
def test_verdicts(low, high, margin, verdict):
    assert judge(Interval((low + high) / 2, low, high, 7, 21), margin) == verdict


def test_one_task_gives_no_interval():
    with pytest.raises(ValueError, match="at least 2"):
        task_interval({"a": [1.0, 2.0]})
    with pytest.raises(ValueError, match="level"):
        task_interval({"a": [1.0], "b": [2.0]}, level=95)
