"""What a person sees while a suite runs."""

from __future__ import annotations

from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class SweepProgress(Progress):
    """A bar of all runs, a line for each that is under way, and one for each that ended.

    Without a terminal only the latter are printed.

    Args:
        total: Number of runs to do.
        metric: The metric to show of a finished run.
    """

    def __init__(self, total: int, metric: str) -> None:
        columns = (TextColumn("{task.description}"), BarColumn())
        times = (TimeElapsedColumn(), TimeRemainingColumn())
        # Runs differ: the time left is estimated from more than the last one.
        super().__init__(*columns, *times, speed_estimate_period=3600)
        self.metric = metric
        self.counts = dict(done=0, failed=0, lost=0)
        self._total = total
        self._all = self.add_task("", total=total)
        self._lines: dict[str, Any] = {}
        self._show()

    def move(self, name: str, share: float | None) -> None:
        """Show that a run has started (``None``), or how far it is, from 0 to 1."""
        if name not in self._lines:
            self._lines[name] = self.add_task(f"  {name}", total=1.0)
        elif share is None:
            self._print(f"{name}: its process died; trying once more")
        if self._lines[name] is not None:
            self.update(self._lines[name], completed=share or 0.0)
        self._show()

    def end(self, name: str, record: dict[str, Any] | None, why: str = "") -> None:
        """Show how a run ended, or ``why`` it left no record and waits for the next sweep."""
        status = record["status"] if record else "lost"
        self.counts[status] += 1
        if self._lines.get(name) is not None:
            self.remove_task(self._lines[name])
        self._lines[name] = None  # what it may still report is late
        if record and status == "done":
            why = f"{self.metric} {record['metrics'].get(self.metric, float('nan')):.4g}"
        elif record:
            why = "failed: " + record["error"].strip().splitlines()[-1]
        if record:
            ended = self.counts["done"] + self.counts["failed"]
            name, why = f"[{ended}/{self._total}] {name}", f"{why} ({record['seconds']:.0f} s)"
        self._print(f"{name}: {why}")
        self._show()

    def _print(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _show(self) -> None:
        done, failed = self.counts["done"], self.counts["failed"]
        under_way = sum(self._tasks[line].completed for line in self._lines.values() if line)
        text = f"{done} done, {failed} failed, {self._total - done - failed} left"
        self.update(self._all, description=text, completed=done + failed + under_way)
