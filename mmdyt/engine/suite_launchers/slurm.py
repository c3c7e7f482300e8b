"""Execute runs as one Slurm job array."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mmdyt.engine.suite import SuiteRun
from mmdyt.engine.suite_launchers.progress import SweepProgress
from mmdyt.engine.suite_task import MODULE, read_runs, write_runs
from mmdyt.fileio import atomic_path

POLL_SECONDS = 2.0
# A task that is killed, or that Slurm warns of its time limit, goes back into the
# queue and later on from its last checkpoint. One that dies again and again ends.
SCRIPT = """#!/bin/bash
{python} -m {module} {runs} "$SLURM_ARRAY_TASK_ID" &
requeue() {{ scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"; }}
trap 'kill -TERM %1; requeue' USR1
wait %1
code=$?
if [ "$code" -gt 128 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {restarts} ]; then requeue; fi
exit "$code"
"""
RESTARTS = 3


def submit(
    runs: Sequence[SuiteRun], out: Path, parallel: int | None = None, options: Sequence[str] = ()
) -> str | None:
    """Submit the runs that are not in the queue yet.

    Args:
        runs: What is to do.
        out: Folder of the suite, seen from all nodes. Its ``slurm/`` receives
            the list of runs, the job's script and what the tasks print.
        parallel: Tasks at the same time. Defaults to ``None``: as many as
            Slurm lets.
        options: Options of ``sbatch``, such as ``--partition=gpu``.

    Returns:
        The number of the job, or ``None`` if nothing was left to submit.

    Raises:
        RuntimeError: If Slurm is not there or refuses the job.
    """
    waiting = queued(out)
    runs = [run for run in runs if run.name not in waiting]
    if not runs:
        return None
    for run in runs:
        run.prepare()
    folder = (out / "slurm").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(path.stem) for path in folder.glob("*.json")), default=0)
    write_runs(runs, folder / f"{number}.json")
    script = folder / f"{number}.sh"
    with atomic_path(script) as path:
        path.write_text(
            SCRIPT.format(
                python=shlex.quote(sys.executable),
                module=MODULE,
                runs=shlex.quote(str(folder / f"{number}.json")),
                restarts=RESTARTS,
            )
        )
    limit = f"%{parallel}" if parallel else ""
    command = [
        "sbatch",
        "--parsable",
        f"--job-name={out.name}",
        f"--array=0-{len(runs) - 1}{limit}",
        "--requeue",
        "--signal=B:USR1@60",
        "--open-mode=append",
        f"--output={folder}/%A_%a.log",
        *options,
        str(script),
    ]
    return _slurm(command).strip().split(";")[0]


def queued(out: Path) -> dict[str, str]:
    """Find the runs of a suite that Slurm has in its queue.

    Args:
        out: Folder of the suite.

    Returns:
        State (``'PENDING'``, ``'RUNNING'``, ...) by name of the run.
    """
    folder = (out / "slurm").resolve()
    listing = _slurm(["squeue", "--me", "--array", "--noheader", "--format=%T|%K|%o"])
    states = {}
    for line in listing.splitlines():
        state, index, script = line.split("|", 2)
        path = Path(script.strip())
        if path.parent == folder and index.isdigit():
            states[read_runs(path.with_suffix(".json"))[int(index)].name] = state
    return states


def wait_for(runs: Sequence[SuiteRun], out: Path, bar: SweepProgress) -> None:
    """Show the progress of submitted runs until none of them is queued.

    Args:
        runs: The runs to watch; none of them has a record.
        out: Folder of the suite.
        bar: Shows the progress. A run that leaves the queue without a record
            was killed; the next sweep takes it up again.
    """
    left = {run.name: run for run in runs}
    shown: set[str] = set()
    while left:
        states = queued(out)
        for name, run in list(left.items()):
            if record := run.record():
                bar.end(name, record)
                del left[name]
            elif name not in states:
                bar.begin(name)
                bar.give_up(name, f"left the queue without a record; see {out / 'slurm'}")
                del left[name]
            elif states[name] == "RUNNING" and name not in shown:
                bar.begin(name)
                shown.add(name)
        time.sleep(POLL_SECONDS if left else 0)


def _slurm(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        raise RuntimeError(f"--launcher slurm needs {command[0]}, which is not on the PATH")
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)}: {done.stderr.strip()}")
    return done.stdout
