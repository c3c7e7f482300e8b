"""What the records of a suite say: means over seeds, tasks and groups."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """One method on one task.

    Args:
        values: The metric by seed, of finished runs.
        failed: Seeds whose last attempt failed.
        missing: Seeds without a record.
    """

    values: dict[int, float]
    failed: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()

    @property
    def mean(self) -> float | None:
        """Mean over the finished seeds, ``None`` if there are none."""
        return statistics.mean(self.values.values()) if self.values else None

    @property
    def complete(self) -> bool:
        """Whether every seed has its value."""
        return bool(self.values) and not self.failed and not self.missing

    def __str__(self) -> str:
        """``91.2 ± 0.3``, with what is not there in words."""
        parts = []
        if self.mean is not None:
            parts.append(f"{self.mean:.2f}")
        if len(self.values) > 1:
            parts.append(f"± {statistics.stdev(self.values.values()):.2f}")
        for word, seeds in (("failed", self.failed), ("missing", self.missing)):
            if seeds:
                parts.append(f"({len(seeds)} {word})")
        return " ".join(parts)


def make_cell(records: Mapping[int, Record | None], metric: str) -> Cell:
    """Sort the records of one method on one task.

    Args:
        records: By seed; ``None`` where there is none.
        metric: The metric that counts, such as ``'accuracy/top1'``.

    Returns:
        The cell.
    """
    done = {seed: rec for seed, rec in records.items() if rec and rec["status"] == "done"}
    return Cell(
        values={seed: float(rec["metrics"][metric]) for seed, rec in done.items()},
        failed=tuple(seed for seed, rec in records.items() if rec and rec["status"] == "failed"),
        missing=tuple(seed for seed, rec in records.items() if rec is None),
    )


def group_means(cells: Mapping[str, Cell], groups: Mapping[str, str]) -> dict[str, Cell]:
    """Average tasks, then seed by seed what a group has in common.

    Nothing is averaged silently over a gap: a group that lacks a run has no
    value for that seed.

    Args:
        cells: By task.
        groups: Group of each task; ``''`` for none.

    Returns:
        One cell a group, in the order of the tasks, and ``'mean'``: the mean
        of the groups' means, which is VTAB-1K's score (of the tasks, where
        they have no groups).
    """
    members: dict[str, list[Cell]] = {}
    for task, cell in cells.items():
        members.setdefault(groups[task] or task, []).append(cell)
    means = {group: _average(inside) for group, inside in members.items()}
    total = _average(list(means.values()))
    return {name: cell for name, cell in means.items() if name not in cells} | {"mean": total}


def task_mean(cells: Mapping[str, Cell]) -> Cell:
    """Average all tasks alike, seed by seed.

    Some publications call this VTAB-1K's score; it is about 2.5 below the mean of
    the groups' means.

    Args:
        cells: By task.

    Returns:
        The cell.
    """
    return _average(list(cells.values()))


def _average(cells: Sequence[Cell]) -> Cell:
    seeds = sorted({seed for cell in cells for seed in (*cell.values, *cell.failed, *cell.missing)})
    whole = [seed for seed in seeds if all(seed in cell.values for cell in cells)]
    return Cell(
        values={seed: statistics.mean(cell.values[seed] for cell in cells) for seed in whole},
        failed=tuple(seed for seed in seeds if any(seed in cell.failed for cell in cells)),
        missing=tuple(
            seed
            for seed in seeds
            if seed not in whole and not any(seed in cell.failed for cell in cells)
        ),
    )


def mean_metric(records: Sequence[Record], metric: str) -> float | None:
    """Mean of a further metric over finished runs, ``None`` if none has it."""
    values = [rec["metrics"][metric] for rec in records if metric in rec["metrics"]]
    return statistics.mean(values) if values else None


def layer_rates(record: Record) -> list[float]:
    """Activation rate of each layer of a run, over its dispatchers; NaN of a layer without."""
    by_layer: dict[int, list[float]] = {}
    for name, value in sorted(record["metrics"].items()):
        if name.startswith("dispatch/rate_"):  # dispatch/rate_<layer>_<branch>
            by_layer.setdefault(int(name.split("_")[1]), []).append(value)
    count = max(by_layer, default=-1) + 1
    return [statistics.mean(by_layer.get(layer, [math.nan])) for layer in range(count)]
