"""Execute runs as one Slurm job array, with submitit.

Submitit writes the array, and takes a task that is preempted or short of its time
limit back into the queue. It does not do so for a task that is killed, cannot say
what is queued where Slurm keeps no accounts, and does not know of other sweeps:
that is done here.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from submitit import SlurmExecutor
from submitit.core.utils import DelayedSubmission, FailedJobError
from submitit.helpers import Checkpointable

from mmdyt.engine.run_spec import SuiteRun
from mmdyt.engine.suite_launchers.progress import SweepProgress

POLL_SECONDS = 2.0
TIME_LIMITS = 1000  # that a run may use up; submitit's three are for shorter work
# Of a process that is killed; one that dies again and again ends.
REQUEUE = """code=$?
if [ $code -gt 128 ] && [ $code -lt 255 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 3 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $code"""


class _Task(Checkpointable):
    """Executes a run; resubmitted as it is, the run goes on from its last checkpoint."""

    def __call__(self, run: SuiteRun) -> None:
        from mmdyt.engine.suite_run import execute  # imports the stack, on the node alone

        record = execute(run)
        if record["error"]:
            raise RuntimeError(record["error"])  # Slurm too says that it failed


def submit(
    runs: Sequence[SuiteRun], out: Path, parallel: int | None = None, options: str = ""
) -> str:
    """Submit runs as a job array.

    Args:
        runs: What to do; at least one.
        out: Folder of the suite, seen from all nodes. Its ``slurm/`` receives
            submitit's files and what the tasks print.
        parallel: Tasks at the same time. Defaults to ``None``: as many as
            Slurm lets.
        options: Options of ``sbatch``, such as ``'--partition=gpu'``. Defaults
            to ``''``. Without ``--time`` a task may take a day.

    Returns:
        The number of the job.

    Raises:
        ValueError: If an option is not written ``--name=value`` or ``--name``.
        RuntimeError: If Slurm is not there or refuses the job.
    """
    flags: dict[str, str | bool] = {"requeue": True, "time": "1-0"}
    for option in shlex.split(options):
        name, _, value = option.partition("=")
        if not name.startswith("--"):
            raise ValueError(f"--sbatch: write {option!r} as --name=value or --name")
        flags[name[2:]] = value or True
    for run in runs:
        run.prepare()
    try:
        executor = SlurmExecutor(_folder(out), max_num_timeout=TIME_LIMITS)
        executor.update_parameters(
            job_name=out.name,
            array_parallelism=parallel or len(runs),
            signal_delay_s=60,
            stderr_to_stdout=True,
            teardown=[REQUEUE],
            additional_parameters=flags,
        )
        return executor.map_array(_Task(), runs)[0].job_id.split("_")[0]
    except FailedJobError as error:
        raise RuntimeError(f"sbatch: {error}") from error


def queued(out: Path) -> dict[str, str]:
    """Find the runs of a suite that Slurm has in its queue.

    Args:
        out: Folder of the suite.

    Returns:
        State (``'PENDING'``, ``'RUNNING'``, ...) by name of the run; nothing
        where no Slurm is installed.

    Raises:
        RuntimeError: If Slurm does not answer.
    """
    if not _folder(out).exists() or shutil.which("squeue") is None:
        return {}
    command = ["squeue", "--me", "--array", "--noheader", "--format=%i %T"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)}: {done.stderr.strip()}")
    jobs = (line.split() for line in done.stdout.splitlines())
    files = ((_folder(out) / f"{job}_submitted.pkl", state) for job, state in jobs)
    return {_run_of(path).name: state for path, state in files if path.exists()}


def wait_for(runs: Sequence[SuiteRun], out: Path, bar: SweepProgress) -> None:
    """Show the progress of submitted runs until none of them is queued.

    Args:
        runs: The runs to watch; none of them has a record.
        out: Folder of the suite.
        bar: Shows the progress.
    """
    left = list(runs)
    while left:
        states = queued(out)
        for run in list(left):
            record = run.record()
            if record or run.name not in states:
                bar.end(run.name, record, f"left the queue without a record; see {_folder(out)}")
                left.remove(run)
            elif states[run.name] == "RUNNING":
                bar.move(run.name, 0.0)
        time.sleep(POLL_SECONDS if left else 0)


def _folder(out: Path) -> Path:
    return out.resolve() / "slurm"


@cache
def _run_of(path: Path) -> SuiteRun:
    return DelayedSubmission.load(path).args[0]
