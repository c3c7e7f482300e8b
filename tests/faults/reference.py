"""Uninterrupted runs, and what becomes of interrupted ones beside them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.hooks import Hook

from tests.faults import runs
from tests.faults.runs import Outcome, prepared, run_forked
from tests.faults.tally import Fate

HOOKS = ["mmdyt", "mmengine"]


class Reference:
    """A run's config and, by whose hooks write its checkpoints, its uninterrupted end.

    Args:
        cfg: The config.
        root: Folder of all its runs.
    """

    def __init__(self, cfg: Config, root: Path) -> None:
        self.cfg, self.root = cfg, root
        self.work_dir = {hooks: root / hooks / "straight" for hooks in HOOKS}
        self.seconds: dict[str, float] = {}
        for hooks, work_dir in self.work_dir.items():
            outcome = run_forked(prepared(cfg, work_dir, hooks))
            assert outcome.status == 0, outcome.log[-3000:]
            self.seconds[hooks] = outcome.seconds
        self.result = {hooks: runs.result(folder) for hooks, folder in self.work_dir.items()}

    def checkpoint_size(self, hooks: str) -> int:
        """Bytes of its largest checkpoint."""
        return max(p.stat().st_size for p in runs.checkpoints(self.work_dir[hooks]).values())

    def kill(
        self,
        hooks: str,
        number: int,
        workers: int,
        kill_hooks: Sequence[Hook] = (),
        kill_after: float | None = None,
    ) -> tuple[Fate, str] | None:
        """Kill a run and resume it.

        Returns:
            As :meth:`fate`; ``None`` if the run ended before the kill.
        """
        folder = self.root / hooks / f"killed_{number}"
        stopped = run_forked(prepared(self.cfg, folder, hooks, workers), kill_hooks, kill_after)
        if stopped.status == 0:
            shutil.rmtree(folder)
            return None
        assert stopped.status < 0, stopped.log[-3000:]
        return self.fate(hooks, folder, workers, stopped)

    def fate(
        self,
        hooks: str,
        folder: Path,
        workers: int,
        stopped: Outcome,
        before_resume: Callable[[], object] = lambda: None,
    ) -> tuple[Fate, str]:
        """Look at what a stopped run left, resume it, look again, and remove it.

        Returns:
            The fate, and all that is known of it.
        """
        torn = runs.torn_files(folder)
        newest = max(runs.checkpoints(folder), default=0)
        before_resume()
        resumed = run_forked(prepared(self.cfg, folder, hooks, workers, resume=True))
        end = runs.result(folder) if resumed.status == 0 else {}
        fate = Fate(
            torn=bool(torn),
            lost=newest < stopped.saved,
            resumed=resumed.status == 0,
            from_zero=resumed.start == 0 and stopped.saved > 0,
            equal=runs.equal(end, self.result[hooks]),
            tidy=runs.listing(folder) == runs.listing(self.work_dir[hooks]),
        )
        told = f"{fate}\n{stopped}\n{torn}\n{resumed}\n{runs.listing(folder)}"
        shutil.rmtree(folder)
        return fate, told
