r"""Run a suite: every method on every task with every seed.

Only what is missing, failed or done with another config is run; what was cut
off goes on from its last checkpoint. Each run leaves a record.json.

    python tools/sweep.py SUITE --workers 2                     # processes of this machine
    python tools/sweep.py SUITE --launcher pytorch --nproc 8    # each run on 8 GPUs
    python tools/sweep.py SUITE --launcher slurm --wait --parallel 8 \
        --sbatch="--partition=gpu --gres=gpu:1 --cpus-per-task=5"   # one job array
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections import Counter
from pathlib import Path

import torch
from mmengine.config import DictAction

from mmdyt.engine.cli import tool
from mmdyt.engine.suite import Suite, SuiteRun
from mmdyt.engine.suite_launchers import queued, run_local, run_pytorch, submit, wait_for
from mmdyt.engine.suite_launchers.progress import SweepProgress


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("suite", help="a suite file, such as configs/suites/digits.py")
    parser.add_argument("--launcher", choices=["local", "pytorch", "slurm"], default="local")
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        help="processes on this machine; they share its cores (OMP_NUM_THREADS) and GPUs",
    )
    parser.add_argument(
        "--nproc", type=int, default=torch.cuda.device_count() or 2, help="pytorch: processes a run"
    )
    parser.add_argument("--sbatch", default="", help="slurm: options of sbatch, in one word")
    parser.add_argument("--parallel", type=int, help="slurm: tasks at the same time")
    parser.add_argument("--wait", action="store_true", help="slurm: stay, and show the progress")
    parser.add_argument("--tasks", nargs="+", help="only these tasks")
    parser.add_argument("--methods", nargs="+", help="only these methods")
    parser.add_argument("--seeds", nargs="+", type=int, help="only these seeds")
    parser.add_argument("--out", type=Path, help="default: work_dirs/suites/<name of the suite>")
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, help="overrides of every run: key=value ..."
    )
    args = parser.parse_args()
    for name in ("workers", "nproc", "parallel"):
        if (number := getattr(args, name)) is not None and number < 1:
            parser.error(f"--{name} must be at least 1, got {number}")
    return args


def to_slurm(runs: list[SuiteRun], out: Path, args: argparse.Namespace, bar: SweepProgress) -> None:
    """Submit what is not queued, and wait if asked to."""
    before = queued(out)
    job = submit(runs, out, args.parallel, shlex.split(args.sbatch))
    known = sum(run.name in before for run in runs)
    print(f"{known} queued already, {len(runs) - known} submitted as job {job}", flush=True)
    if args.wait:
        with bar:
            wait_for(runs, out, bar)


@tool
def main() -> None:
    """Run the sweep; the exit status is 1 if a run failed, 130 after Ctrl-C."""
    args = parse_args()
    try:
        suite = Suite.fromfile(args.suite, args.out, args.cfg_options)
        runs = suite.runs(args.tasks, args.methods, args.seeds)
    except (ValueError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from error
    states = {run.name: run.status() for run in runs}
    todo = [run for run in runs if states[run.name] != "done"]
    counts = ", ".join(f"{number} {state}" for state, number in Counter(states.values()).items())
    print(f"{suite.title}: {len(runs)} runs ({counts}) in {suite.out}", flush=True)
    bar = SweepProgress(len(todo), suite.metric)
    try:
        if args.launcher == "slurm":
            to_slurm(todo, suite.out, args, bar)
        else:
            with bar:
                if args.launcher == "local":
                    run_local(todo, args.workers, suite.out, bar)
                else:
                    run_pytorch(todo, args.nproc, suite.out, bar)
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.")
        sys.exit(130)
    except RuntimeError as error:
        raise SystemExit(str(error)) from error
    if bar.counts["failed"]:
        print("Failed runs have the whole error in their record.json; the same command retries.")
        sys.exit(1)


if __name__ == "__main__":
    main()
