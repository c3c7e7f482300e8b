"""Execute runs in worker processes of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch

from mmdyt.engine.suite import SuiteRun
from mmdyt.engine.suite_launchers.progress import SweepProgress

ATTEMPTS = 2  # of a run whose process dies
NOTICE_SECONDS = 0.5  # until the death of a worker is seen


def run_local(runs: Sequence[SuiteRun], workers: int, log_dir: Path, bar: SweepProgress) -> None:
    """Execute runs, several at a time, each worker process many of them.

    A worker that dies is replaced, and its run tried once more, from its last
    checkpoint. An error of a run is recorded, and the others go on. However
    this function is left, no worker stays behind.

    Args:
        runs: What to do, in order.
        workers: Number of processes. They share the cores, and the GPUs if
            there are any.
        log_dir: Folder of what the workers print, ``worker<k>.log``.
        bar: Shows the progress.

    Raises:
        RuntimeError: If a worker cannot start at all.
    """
    waiting, attempts = deque(runs), Counter[str]()
    count = min(workers, len(runs))
    pool = [_Worker(index, count, log_dir) for index in range(count)]
    try:
        while waiting or any(worker.run for worker in pool):
            for worker in pool:
                if waiting and not worker.run:
                    bar.begin(waiting[0].name)
                    worker.start(waiting.popleft())
            wait([worker.connection for worker in pool], timeout=NOTICE_SECONDS)
            for index, worker in enumerate(pool):
                dead = worker.dead()  # before its last messages are read
                name = worker.run.name if worker.run else ""
                for message in worker.messages():
                    if isinstance(message, float):
                        bar.move(name, message)
                    else:
                        bar.end(name, message)
                        worker.run = None
                if not dead:
                    continue
                pool[index] = _Worker(index, count, log_dir)
                if worker.run:
                    attempts[name] += 1
                    again = attempts[name] < ATTEMPTS
                    why = f"its process {worker.death()}"
                    bar.give_up(name, f"{why}; {'trying once more' if again else 'giving up'}")
                    if again:
                        waiting.appendleft(worker.run)
                    else:
                        bar.end(name, _record_death(worker, why))
    finally:
        for worker in pool:
            worker.stop()


class _Worker:
    """A process that executes runs, and the one it is at."""

    def __init__(self, index: int, count: int, log_dir: Path) -> None:
        self.run: SuiteRun | None = None
        self.log = log_dir / f"worker{index}.log"
        self._ready = False
        self.connection, theirs = Pipe()
        command = [sys.executable, "-m", "mmdyt.engine.suite_worker", str(theirs.fileno())]
        log_dir.mkdir(parents=True, exist_ok=True)
        with theirs, self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                env=worker_environment(index, count),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the launcher alone
            )

    def start(self, run: SuiteRun) -> None:
        """Send a run to do."""
        self.run, self.started = run, time.time()
        with contextlib.suppress(BrokenPipeError):  # dead, which the next look will find
            self.connection.send(run)

    def messages(self) -> Iterator[Any]:
        """Yield what it has sent: shares of the training done, and records."""
        try:
            while self.connection.poll():
                message = self.connection.recv()
                if message == "ready":
                    self._ready = True
                else:
                    yield message
        except (EOFError, ConnectionResetError):
            self._reap()

    def dead(self) -> bool:
        """Say whether it has ended.

        Raises:
            RuntimeError: If it did so by itself before it was ready: the next
                one would too.
        """
        code = self.process.poll()
        if code is not None and code > 0 and not self._ready:
            raise RuntimeError(f"a worker cannot start: see the end of {self.log}")
        return code is not None

    def death(self) -> str:
        """Say how it ended."""
        code = self.process.returncode
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"

    def stop(self) -> None:
        """End it, with the processes of its data loaders."""
        self._signal(signal.SIGTERM)
        self._reap()
        self.connection.close()

    def _reap(self) -> None:
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)


def worker_environment(index: int, count: int) -> dict[str, str]:
    """Give a worker its share of the machine, before torch is loaded.

    Args:
        index: Number of the worker.
        count: Number of workers.

    Returns:
        This process's environment, with ``OMP_NUM_THREADS`` (cores over
        workers, unless it is set) and, where there are GPUs, one of them in
        ``CUDA_VISIBLE_DEVICES``.
    """
    cores = len(os.sched_getaffinity(0))
    env = {"OMP_NUM_THREADS": str(max(1, cores // count))} | dict(os.environ)
    if torch.cuda.device_count():
        devices = [str(each) for each in range(torch.cuda.device_count())]
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(devices)).split(",")
        env["CUDA_VISIBLE_DEVICES"] = visible[index % len(visible)]
    return env


def _record_death(worker: _Worker, why: str) -> dict[str, Any]:
    # Loads all libraries, for their versions; seldom needed.
    from mmdyt.engine.suite_worker import write_record

    assert worker.run is not None
    error = f"{why} {ATTEMPTS} times; see {worker.log}"
    return write_record(worker.run, worker.started, error=error)
