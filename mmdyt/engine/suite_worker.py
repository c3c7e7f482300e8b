"""Execute runs of a suite in this process, one after the other.

``python -m mmdyt.engine.suite_worker FD`` serves runs that a launcher sends
through the socket ``FD``, so that the libraries are imported once.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import mmcv
import mmengine
import mmpretrain
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmengine.utils import ManagerMixin
from mmengine.visualization import Visualizer

import mmdyt
from mmdyt.engine.checkpoints import newest_checkpoint
from mmdyt.engine.launch import join_cpu_processes, require_amp_device
from mmdyt.engine.suite import CONFIG, RECORD, SuiteRun, fingerprint
from mmdyt.evaluation import count_parameters
from mmdyt.fileio import atomic_path

Report = Callable[[float], None]


def execute(run: SuiteRun, report: Report | None = None, launcher: str = "none") -> dict[str, Any]:
    """Train and test a run, and record how it ended.

    A run that was cut off goes on from its last checkpoint. A folder that
    another config left is set aside. An error of the run becomes a record too.

    Args:
        run: The run.
        report: Called now and then with the share of the training that is
            done, in ``[0, 1]``. Defaults to ``None``.
        launcher: ``'pytorch'`` where this is one of several processes of the
            run: the first of them writes. Defaults to ``'none'``.

    Returns:
        The record, as written to ``record.json``.
    """
    first = launcher == "none" or os.environ["RANK"] == "0"
    if launcher == "none":
        run.prepare()
    cfg = run.config()
    if first:
        with atomic_path(run.work_dir / CONFIG) as path:
            path.write_text(cfg.pretty_text)
    cfg.launcher = launcher
    started = time.time()
    try:
        metrics, params = _train_and_test(cfg, run, report)
        return write_record(run, started, metrics=metrics, params=params, write=first)
    except (Exception, SystemExit):  # require_amp_device and its like exit
        return write_record(run, started, error=traceback.format_exc(), write=first)
    finally:
        forget_runners()


def write_record(
    run: SuiteRun,
    started: float,
    error: str | None = None,
    metrics: dict[str, float] | None = None,
    params: dict[str, int] | None = None,
    write: bool = True,
) -> dict[str, Any]:
    """Write ``record.json`` of a run that came to an end.

    Args:
        run: The run.
        started: When its last attempt started, in seconds since the epoch.
        error: What went wrong. Defaults to ``None``: nothing, it is done.
        metrics: What testing gave. Defaults to ``None``.
        params: ``total`` and ``trainable`` parameters. Defaults to ``None``.
        write: ``False`` only makes the record. Defaults to ``True``.

    Returns:
        The record. Its ``seconds`` are those of the last attempt.
    """
    finished = time.time()
    record = dict(
        suite=run.suite,
        task=run.task,
        group=run.group,
        method=run.method,
        seed=run.seed,
        status="failed" if error else "done",
        error=error,
        config=run.source,
        cfg_options=run.cfg_options,
        fingerprint=fingerprint(run.config()),
        metrics=metrics or {},
        params=params or {},
        seconds=finished - started,
        versions=versions(),
        host=host(),
        started=_utc(started),
        finished=_utc(finished),
    )
    if write:
        with atomic_path(run.work_dir / RECORD) as path:
            mmengine.dump(record, path, indent=2)
    return record


def _train_and_test(
    cfg: Config, run: SuiteRun, report: Report | None
) -> tuple[dict[str, float], dict[str, int]]:
    cfg.work_dir = str(run.work_dir)
    cfg.setdefault("experiment_name", run.name.replace("/", "_"))
    checkpoint = newest_checkpoint(run.work_dir)
    if checkpoint:
        cfg.resume, cfg.load_from = True, str(checkpoint)
    require_amp_device(cfg)
    join_cpu_processes(cfg)
    runner = Runner.from_cfg(cfg)
    if report:
        runner.register_hook(_ReportHook(report))
    runner.train()
    metrics = {name: float(value) for name, value in runner.test().items()}
    count = count_parameters(runner.model)
    return metrics, dict(total=count.total, trainable=count.trainable)


def forget_runners() -> None:
    """Close and drop what mmengine keeps of every runner of this process.

    Loggers and visualisers hold files open; a visualiser with a fixed name
    would even write the next run's curves into the folder of the first. Flags
    that ``randomness`` sets for the whole process go back to their defaults.
    """
    for manager in _subclasses(ManagerMixin):
        instances = manager._instance_dict  # type: ignore[attr-defined]
        for instance in instances.values():
            if isinstance(instance, MMLogger):
                for handler in instance.handlers:
                    handler.close()
            elif isinstance(instance, Visualizer):
                instance.close()
        instances.clear()
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = torch.backends.cudnn.benchmark = False
    gc.collect()
    torch.cuda.empty_cache()


def _subclasses(kind: type) -> Iterator[type]:
    yield kind
    child: type
    for child in kind.__subclasses__():
        yield from _subclasses(child)


class _ReportHook(Hook):
    """Report the share of the training that is done, twice a second at most."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._last = 0.0

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if time.monotonic() - self._last > 0.5:
            self._last = time.monotonic()
            self._report((runner.iter + 1) / runner.max_iters)


@cache
def versions() -> dict[str, str | None]:
    """Versions of what a result depends on, and the commit of this checkout."""
    git = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    found = subprocess.run(
        git, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return dict(
        python=platform.python_version(),
        torch=torch.__version__,
        mmengine=mmengine.__version__,
        mmcv=mmcv.__version__,
        mmpretrain=mmpretrain.__version__,
        mmdyt=mmdyt.__version__,
        commit=found.stdout.strip() or None,
    )


def host() -> dict[str, str | int | None]:
    """Name the hardware, the number of torch's threads, and the processes of a run."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return dict(
        cpu=models[0] if models else platform.processor(),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        threads=torch.get_num_threads(),
        processes=mmengine.dist.get_world_size(),
    )


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


def serve(connection: Connection) -> None:
    """Execute every run that comes through a connection, until it closes.

    Sends ``'ready'`` once, a float after some iterations, and a record after
    each run.

    Args:
        connection: To the launcher.
    """

    def report(share: float) -> None:
        with contextlib.suppress(OSError):  # without its launcher a run still ends well
            connection.send(share)

    gc.freeze()  # the libraries' objects: mmengine collects garbage three times a run
    with contextlib.suppress(EOFError, OSError):
        connection.send("ready")
        while True:
            run = connection.recv()
            print(f"==== {run.name}", flush=True)
            connection.send(execute(run, report))


if __name__ == "__main__":
    faulthandler.enable()
    serve(Connection(int(sys.argv[1])))
