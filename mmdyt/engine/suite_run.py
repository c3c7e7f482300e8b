"""Execute one run of a suite in this process, and record how it ended.

``python -m mmdyt.engine.suite_run RUN_JSON`` is one process of a run under
``torchrun``; it ends with 1 if the run failed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdyt.engine.checkpoints import newest_checkpoint
from mmdyt.engine.launch import join_cpu_processes, require_amp_device
from mmdyt.engine.provenance import host, versions
from mmdyt.engine.run_checks import check_run
from mmdyt.engine.run_spec import CONFIG, RECORD, SuiteRun, fingerprint
from mmdyt.engine.runner_state import forget_runners
from mmdyt.evaluation import count_parameters
from mmdyt.fileio import atomic_path

Report = Callable[[float], None]
DISK_FULL = 2**20  # bytes; what is left once a checkpoint did not fit


def execute(run: SuiteRun, report: Report | None = None, launcher: str = "none") -> dict[str, Any]:
    """Train and test a run, and record how it ended.

    A run that is done is left alone, and one that was cut off goes on from its
    last checkpoint. A folder that another config left is set aside. An error of
    the run becomes a record too.

    Args:
        run: The run.
        report: Called now and then with the share of the training that is
            done, in ``[0, 1]``. Defaults to ``None``.
        launcher: ``'pytorch'`` where this is one of several processes of the
            run: the first of them writes, and who starts them prepares the
            folder. Defaults to ``'none'``.

    Returns:
        The record, as written to ``record.json``.
    """
    if run.status() == "done":
        return run.record() or {}
    started = time.time()
    first = launcher == "none" or os.environ["RANK"] == "0"
    error, result = "", {}
    try:
        if launcher == "none":
            run.prepare()
        result = _train_and_test(run, report, launcher, first)
    except (Exception, SystemExit) as problem:
        if isinstance(problem, SystemExit) and not isinstance(problem.code, str):
            raise  # not a refusal, but how Slurm's signal ends the process
        error = traceback.format_exc()
    finally:
        forget_runners()
    return write_record(run, started, error, write=first, **result)


def write_record(
    run: SuiteRun, started: float, error: str = "", write: bool = True, **result: dict
) -> dict[str, Any]:
    """Write ``record.json`` of a run that came to an end, and name a disk that is full.

    Args:
        run: The run.
        started: When its last attempt started, in seconds since the epoch.
        error: What went wrong. Defaults to ``''``: nothing, it is done.
        write: ``False`` only makes the record. Defaults to ``True``.
        result: ``metrics`` of the test, and ``total`` and ``trainable`` ``params``.

    Returns:
        The record. Its ``seconds`` are those of the last attempt.
    """
    finished = time.time()
    folder = next(
        path for path in (run.work_dir, *run.work_dir.absolute().parents) if path.exists()
    )
    free = shutil.disk_usage(folder).free
    if error and free < DISK_FULL:
        error = f"{error.rstrip()}\nThe disk is full: {free} bytes are left for {run.work_dir}"
    record = dict(
        suite=run.suite,
        task=run.task,
        group=run.group,
        method=run.method,
        seed=run.seed,
        status="failed" if error else "done",
        error=error or None,
        config=run.source,
        cfg_options=run.cfg_options,
        fingerprint=fingerprint(run.config()),
        metrics=result.get("metrics", {}),
        params=result.get("params", {}),
        seconds=finished - started,
        versions=versions(),
        host=host(),
        started=_utc(started),
        finished=_utc(finished),
    )
    if write:
        try:
            with atomic_path(run.work_dir / RECORD) as path:
                path.write_text(json.dumps(record, indent=2, default=str))
        except OSError as problem:
            record |= dict(status="failed", error=f"{error}\nno record written: {problem}")
    return record


def _train_and_test(
    run: SuiteRun, report: Report | None, launcher: str, first: bool
) -> dict[str, dict]:
    cfg = run.config()
    if first:
        with atomic_path(run.work_dir / CONFIG) as path:
            path.write_text(cfg.pretty_text)
    cfg.launcher, cfg.work_dir = launcher, str(run.work_dir)
    cfg.setdefault("experiment_name", run.name.replace("/", "_"))
    if checkpoint := newest_checkpoint(run.work_dir):
        cfg.resume, cfg.load_from = True, str(checkpoint)
    check_run(cfg, "train")
    require_amp_device(cfg)
    join_cpu_processes(cfg)
    runner = Runner.from_cfg(cfg)
    if report:
        runner.register_hook(_ReportHook(report))
    runner.train()
    metrics = {name: float(value) for name, value in runner.test().items()}
    if run.metric and run.metric not in metrics:
        raise ValueError(f"metric {run.metric!r} is none of what the test gave: {list(metrics)}")
    count = count_parameters(runner.model)
    return dict(metrics=metrics, params=dict(total=count.total, trainable=count.trainable))


class _ReportHook(Hook):
    """Report the share of the training that is done, twice a second at most."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._last = 0.0

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if time.monotonic() - self._last > 0.5:
            self._last = time.monotonic()
            self._report((runner.iter + 1) / runner.max_iters)


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


def main() -> None:
    """Run the command line of this module's docstring."""
    fields = json.loads(sys.argv[1])
    record = execute(
        SuiteRun(**{**fields, "work_dir": Path(fields["work_dir"])}), launcher="pytorch"
    )
    if record["error"]:  # of several processes, the first alone writes its record
        sys.exit(record["error"])


if __name__ == "__main__":
    main()
