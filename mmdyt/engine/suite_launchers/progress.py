"""What a person sees while a suite runs."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class SweepProgress(Progress):
    """A bar of all runs, a line for each that is under way, and one for each that ended.

    Without a terminal only the latter are printed.

    Args:
        total: Number of runs to do.
        metric: The metric to show of a finished run.
        console: Where to show it. Defaults to ``None``: the terminal.
    """

    def __init__(self, total: int, metric: str, console: Console | None = None) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=3600,  # runs differ: not by the last alone
        )
        self.metric = metric
        self.counts = dict(done=0, failed=0)
        self._total = total
        self._all = self.add_task("", total=total)
        self._lines: dict[str, tuple[TaskID, float]] = {}
        self._show()

    def begin(self, name: str) -> None:
        """Show that a run has started."""
        self._lines[name] = (self.add_task(f"  {name}", total=1.0), 0.0)

    def move(self, name: str, share: float) -> None:
        """Show how far a run's training is, from 0 to 1."""
        line, _ = self._lines[name]
        self._lines[name] = (line, share)
        self.update(line, completed=share)
        self._show()

    def give_up(self, name: str, why: str) -> None:
        """Show that a run's process ended before the run did."""
        self.remove_task(self._lines.pop(name)[0])
        self.console.print(f"{name}: {why}", highlight=False, soft_wrap=True)
        self._show()

    def end(self, name: str, record: dict[str, Any]) -> None:
        """Show how a run ended."""
        self.counts[record["status"]] += 1
        if name in self._lines:
            self.remove_task(self._lines.pop(name)[0])
        number = f"[{sum(self.counts.values())}/{self._total}]"
        if record["status"] == "done":
            result = f"{self.metric} {record['metrics'].get(self.metric, float('nan')):.2f}"
        else:
            result = "failed: " + record["error"].strip().splitlines()[-1]
        line = f"{number} {name}: {result} ({record['seconds']:.0f} s)"
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._show()

    def _show(self) -> None:
        done, failed = self.counts["done"], self.counts["failed"]
        left = self._total - done - failed
        under_way = sum(share for _, share in self._lines.values())
        self.update(
            self._all,
            description=f"{done} done, {failed} failed, {left} left",
            completed=done + failed + under_way,
        )
