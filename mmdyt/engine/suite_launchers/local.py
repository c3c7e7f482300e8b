"""Execute runs in worker processes of this machine, which dask.distributed keeps.

``docs/cluster.md`` says what else was tried, and why this.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import distributed
import torch

from mmdyt.engine.run_spec import SuiteRun
from mmdyt.engine.suite_launchers.progress import SweepProgress

ATTEMPTS = 2  # of a run whose process dies
TOPIC = "runs"


def run_local(runs: Sequence[SuiteRun], workers: int, out: Path, bar: SweepProgress) -> None:
    """Execute runs, several at a time, each worker process many of them.

    A worker that dies is replaced, and its run tried once more, from its last
    checkpoint. An error of a run is recorded, and the others go on. However
    this function or its process is left, no worker stays behind.

    Args:
        runs: What to do, in order.
        workers: Number of processes. They share the cores, and the GPUs if
            there are any.
        out: Folder of the suite; ``worker<k>.log`` is what the workers print.
        bar: Shows the progress.
    """
    waiting = iter(runs)
    under_way: dict[distributed.Future, tuple[int, SuiteRun, float]] = {}
    with _workers(min(workers, len(runs)), out) as client:
        client.subscribe_topic(TOPIC, lambda event: bar.move(*event[1]))

        def start(worker: int) -> list[distributed.Future]:
            run = next(waiting, None)
            if run is None:
                return []
            # Held by its worker, or what replaces it: not queued behind a run that kills.
            future = client.submit(_execute, run, key=run.name, resources={f"w{worker}": 1})
            under_way[future] = worker, run, time.time()
            return [future]

        futures = distributed.as_completed([f for each in range(workers) for f in start(each)])
        for future in futures:
            worker, run, started = under_way.pop(future)
            try:
                bar.end(run.name, future.result())
            except distributed.KilledWorker:
                from mmdyt.engine.suite_run import write_record  # imports the stack

                error = f"its process died {ATTEMPTS} times; see {out / f'worker{worker}.log'}"
                bar.end(run.name, write_record(run, started, error))
            future.release()  # or a later death of its worker would do it again
            futures.update(start(worker))


def gpu_of(worker: int) -> dict[str, str]:
    """Give a worker one of the visible GPUs, by turns, or nothing where there are none."""
    devices = ",".join(str(each) for each in range(torch.cuda.device_count()))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", devices).split(",")
    return {"CUDA_VISIBLE_DEVICES": visible[worker % len(visible)]} if devices else {}


@contextmanager
def _workers(count: int, out: Path) -> Iterator[distributed.Client]:
    config: dict[str, Any] = {
        "distributed.worker.daemon": False,  # data loaders start processes
        "distributed.scheduler.allowed-failures": ATTEMPTS - 1,
        # A new worker imports torch, which takes a busy machine more than dask's 15 s.
        "distributed.deploy.lost-worker-timeout": "10 minutes",
        # Set before a worker loads torch; what the environment has already wins.
        "distributed.nanny.pre-spawn-environ": {
            "OMP_NUM_THREADS": max(1, len(os.sched_getaffinity(0)) // count),
            "DASK_LOGGING__DISTRIBUTED": "critical",
        },
    }
    security = distributed.Security.temporary()  # other users of the machine keep out
    here = dict(host="127.0.0.1", security=security)
    scheduler = dict(cls=distributed.Scheduler, options=dict(here, dashboard_address=None))
    workers = {}
    for index in range(count):
        own = dict(env=gpu_of(index), resources={f"w{index}": 1})
        options = dict(here, nthreads=1, memory_limit=0, **own)
        workers[f"w{index}"] = dict(cls=distributed.Nanny, options=options)
    with (
        dask.config.set(config),
        distributed.SpecCluster(workers, scheduler, security=security, silence_logs=50) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.register_plugin(_Output(out))
        yield client


class _Output(distributed.WorkerPlugin):
    """What a worker prints goes into a file, and Ctrl-C is for the sweep alone."""

    def __init__(self, out: Path) -> None:
        self.out = out.absolute()

    def setup(self, worker) -> None:
        with (self.out / f"worker{worker.name[1:]}.log").open("ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        faulthandler.enable()
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _execute(run: SuiteRun) -> dict[str, Any]:
    from mmdyt.engine.suite_run import execute  # imports the stack, once a worker

    worker = distributed.get_worker()
    worker.log_event(TOPIC, [run.name, None])
    return execute(run, lambda share: worker.log_event(TOPIC, [run.name, share]))
