"""The records of a study, and claims about them."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mmdyt.engine.suite import Suite
from projects.study.intervals import Interval, paired_differences, task_interval

Record = dict
Value = Callable[[Record], float]


def accuracy(record: Record) -> float:
    """Test accuracy in %."""
    return record["metrics"]["accuracy/top1"]


def lr_of(record: Record) -> float:
    """Learning rate of a record, or of a method of a suite."""
    return record["cfg_options"]["optim_wrapper.optimizer.lr"]


def saved_mflops(record: Record) -> float:
    """Minus the measured cost in millions of multiply-adds: more is better."""
    return -1e3 * record["metrics"]["dispatch/gflops"]


def activation_rate(record: Record) -> float:
    """Share of active tokens over all dispatchers."""
    return record["metrics"]["dispatch/activation_rate"]


def rates(record: Record) -> list[float]:
    """Activation rates of all dispatchers in the order of the layers."""
    metrics = record["metrics"]
    return [metrics[name] for name in sorted(metrics) if name.startswith("dispatch/rate_")]


def front_minus_back(record: Record) -> float:
    """Mean activation rate of the first half of the layers less that of the second, in points."""
    found = rates(record)
    half = len(found) // 2
    return 100 * (statistics.mean(found[:half]) - statistics.mean(found[-half:]))


def mean_accuracies(records: Sequence[Record]) -> dict[str, dict[float, float]]:
    """Average the runs that choose learning rates over the tasks.

    Args:
        records: Records whose methods are named ``<method>-lr<rate>``.

    Returns:
        Mean accuracy by method and learning rate, of those rates that ran on as
        many tasks as any of the method's.
    """
    found: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        found[record["method"].rpartition("-lr")[0]][lr_of(record)].append(accuracy(record))
    means = {}
    for method, by_rate in found.items():
        most = max(map(len, by_rate.values()))
        means[method] = {
            rate: statistics.mean(values) for rate, values in by_rate.items() if len(values) == most
        }
    return means


def best_rate(by_rate: dict[float, float]) -> float:
    """Choose the learning rate of the highest value; of equals the larger.

    Raises:
        ValueError: If it is the least or the largest.
    """
    best = max(by_rate, key=lambda rate: (by_rate[rate], rate))
    if best in (min(by_rate), max(by_rate)):
        raise ValueError(f"the best rate, {best:g}, lies at the edge of {sorted(by_rate)}")
    return best


@dataclass(frozen=True)
class Claim:
    """A claim of the paper as a difference that should be positive.

    Args:
        text: The claim.
        left: Name of a method.
        right: Name of the method it is compared with; ``None`` if the value
            itself is the difference.
        value: What is compared. Defaults to the accuracy.
        unit: Of the value. Defaults to accuracy points.
        margin: See :func:`projects.study.intervals.judge`. Defaults to 0.0.
        paper: The paper's figures. Defaults to none.
    """

    text: str
    left: str
    right: str | None
    value: Value = accuracy
    unit: str = "points"
    margin: float = 0.0
    paper: str = "-"


@dataclass(frozen=True)
class Study:
    """The records of the study with the suite that they belong to.

    Args:
        suite: Tasks, methods and seeds.
        records: Those of finished runs.
    """

    suite: Suite
    records: Sequence[Record]

    def by_run(self, method: str, value: Value = accuracy) -> dict[tuple[str, int], float]:
        """Value of every run of a method by task and seed."""
        return {
            (record["task"], record["seed"]): value(record)
            for record in self.records
            if record["method"] == method
        }

    def by_task(self, method: str, value: Value = accuracy) -> dict[str, list[float]]:
        """Values of a method's seeds by task, in the order of the suite."""
        found: dict[str, list[float]] = {task: [] for task in self.suite.tasks}
        for (task, _), each in self.by_run(method, value).items():
            found[task].append(each)
        return {task: values for task, values in found.items() if values}

    def mean(self, method: str, value: Value = accuracy) -> float:
        """Mean of the groups' means, as VTAB-1K's; of the tasks' where there are no groups."""
        groups = defaultdict(list)
        for task, values in self.by_task(method, value).items():
            groups[self.suite.tasks[task].get("group", "")].append(statistics.mean(values))
        return statistics.mean(statistics.mean(each) for each in groups.values())

    def differences(self, claim: Claim) -> dict[str, list[float]]:
        """A claim's differences of the pairs there are, by task."""
        left = self.by_run(claim.left, claim.value)
        none = dict.fromkeys(left, 0.0)
        right = self.by_run(claim.right, claim.value) if claim.right else none
        return paired_differences(left, right)

    def can_test(self, claim: Claim) -> bool:
        """Whether there are pairs of at least two tasks."""
        return len(self.differences(claim)) >= 2

    def interval(self, claim: Claim) -> Interval:
        """Interval of a claim's difference."""
        return task_interval(self.differences(claim))
