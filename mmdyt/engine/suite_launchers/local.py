"""Execute runs in worker processes of this machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from functools import partial
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
        RuntimeError: If a worker cannot start at all, or another sweep, or
            a worker that one left, is still at work in ``log_dir``.
    """
    with locked(log_dir) as lock:
        pool = _Pool(runs, workers, log_dir, lock, bar)
        try:
            while pool.busy():
                pool.step()
        finally:
            pool.stop()


class _Pool:
    """Workers, and the runs that wait for one."""

    def __init__(
        self, runs: Sequence[SuiteRun], workers: int, log_dir: Path, lock: int, bar: SweepProgress
    ) -> None:
        self.bar = bar
        self.waiting = deque(runs)
        self.attempts = Counter[str]()
        count = min(workers, len(runs))
        self.new_worker = partial(_Worker, count=count, log_dir=log_dir, lock=lock)
        self.workers = [self.new_worker(index) for index in range(count)]

    def busy(self) -> bool:
        """Say whether anything is left to do."""
        return bool(self.waiting) or any(worker.run for worker in self.workers)

    def step(self) -> None:
        """Hand out runs, wait for news, and take it in."""
        for worker in self.workers:
            if self.waiting and not worker.run:
                self.bar.begin(self.waiting[0].name)
                worker.start(self.waiting.popleft())
        wait([worker.connection for worker in self.workers], timeout=NOTICE_SECONDS)
        for index, worker in enumerate(self.workers):
            dead = worker.dead()  # before its last messages are read
            self._listen(worker)
            if dead:
                self.workers[index] = self.new_worker(index)
                self._bury(worker)

    def stop(self) -> None:
        """End all workers."""
        for worker in self.workers:
            worker.stop()

    def _listen(self, worker: _Worker) -> None:
        for message in worker.messages():
            assert worker.run is not None
            if isinstance(message, float):
                self.bar.move(worker.run.name, message)
            else:
                self.bar.end(worker.run.name, message)
                worker.run = None

    def _bury(self, worker: _Worker) -> None:
        run, why = worker.run, f"its process {worker.death()}"
        if run is None:
            return
        self.attempts[run.name] += 1
        if self.attempts[run.name] < ATTEMPTS:
            self.bar.give_up(run.name, f"{why}; trying once more")
            self.waiting.appendleft(run)
        else:
            self.bar.give_up(run.name, f"{why}; giving up")
            self.bar.end(run.name, _record_death(worker, why))


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Keep other sweeps out of a folder.

    Args:
        folder: Folder of the suite; it is made if it is missing.

    Yields:
        The descriptor that holds the lock, to hand on to workers.

    Raises:
        RuntimeError: If another sweep is at work there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "sweep.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(f"another sweep is at work in {folder}") from None
        yield file.fileno()


class _Worker:
    """A process that executes runs, and the one it is at."""

    def __init__(self, index: int, count: int, log_dir: Path, lock: int) -> None:
        self.run: SuiteRun | None = None
        self.log = log_dir / f"worker{index}.log"
        self._ready = False
        self.connection, theirs = Pipe()
        command = [sys.executable, "-m", "mmdyt.engine.suite_worker", str(theirs.fileno())]
        with theirs, self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                env=worker_environment(index, count),
                pass_fds=[theirs.fileno(), lock],  # held until the last worker has gone
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
