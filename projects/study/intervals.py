"""Paired comparisons over tasks and seeds, with intervals and verdicts.

Two methods are compared on the same tasks with the same seeds. The tasks are
what a claim generalises over, so that the interval is a t interval of the
tasks' mean differences; seeds only make each of those means more exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

Verdict = Literal["agrees", "does not agree", "undecided"]


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Args:
        mean: Mean over the tasks of their mean differences.
        low: Lower end.
        high: Upper end.
        tasks: Number of tasks.
        pairs: Number of pairs (task and seed).
    """

    mean: float
    low: float
    high: float
    tasks: int
    pairs: int


def paired_differences(
    left: Mapping[tuple[str, int], float], right: Mapping[tuple[str, int], float]
) -> dict[str, list[float]]:
    """Subtract run by run.

    Args:
        left: A value for every ``(task, seed)``.
        right: As ``left``; what only one of them has is left out.

    Returns:
        ``left - right`` by task, in the order of ``left``.
    """
    differences: dict[str, list[float]] = {}
    for task, seed in left:
        if (task, seed) in right:
            difference = left[task, seed] - right[task, seed]
            differences.setdefault(task, []).append(difference)
    return differences


def task_interval(differences: Mapping[str, Sequence[float]], level: float = 0.95) -> Interval:
    """Confidence interval of the mean difference, with tasks as the unit.

    Args:
        differences: Differences of the seeds by task.
        level: Confidence in (0, 1). Defaults to 0.95.

    Returns:
        The interval: Student's t with ``tasks - 1`` degrees of freedom.

    Raises:
        ValueError: If there are fewer than two tasks, or ``level`` is outside
            (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be inside (0, 1), got {level}")
    if len(differences) < 2:
        raise ValueError(f"an interval over tasks needs at least 2, got {sorted(differences)}")
    means = np.array([np.mean(each) for each in differences.values()])  # (tasks,)
    half = stats.t.ppf((1 + level) / 2, len(means) - 1) * stats.sem(means)
    return Interval(
        mean=float(means.mean()),
        low=float(means.mean() - half),
        high=float(means.mean() + half),
        tasks=len(means),
        pairs=sum(len(each) for each in differences.values()),
    )


def judge(interval: Interval, margin: float = 0.0) -> Verdict:
    """Say whether the data agree with the claim that a difference is above ``-margin``.

    Args:
        interval: Of the difference, in the direction of the claim.
        margin: How much below zero still counts as equal, not negative.
            Defaults to 0.0: the claim is that the difference is positive.

    Returns:
        ``'agrees'`` if the whole interval is above ``-margin``, ``'does not
        agree'`` if all of it is below, otherwise ``'undecided'``.
    """
    if interval.low > -margin:
        return "agrees"
    return "does not agree" if interval.high < -margin else "undecided"
