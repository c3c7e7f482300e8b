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
import sys
from collections import Counter
from pathlib import Path

import torch
from mmengine.config import DictAction

from mmdyt.engine.cli import tool
from mmdyt.engine.metric_names import require_metric
from mmdyt.engine.report import write_report
from mmdyt.engine.run_spec import SuiteRun
from mmdyt.engine.suite import Suite
from mmdyt.engine.suite_launchers.local import run_local
from mmdyt.engine.suite_launchers.progress import SweepProgress
from mmdyt.engine.suite_launchers.pytorch import run_pytorch
from mmdyt.engine.suite_launchers.slurm import queued, submit, wait_for
from mmdyt.fileio import locked


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


def start(suite: Suite, runs: list[SuiteRun], args: argparse.Namespace) -> SweepProgress:
    """Do what is left of some runs, or submit it, while no other sweep is in the folder."""
    with locked(suite.out / "sweep.lock", "another sweep") as lock:
        waiting = queued(suite.out)
        if waiting and args.launcher != "slurm":
            raise RuntimeError(f"{len(waiting)} runs of {suite.out} are in Slurm's queue")
        states = {run.name: run.status() for run in runs}
        todo = [run for run in runs if states[run.name] != "done"]
        counts = ", ".join(
            f"{number} {state}" for state, number in Counter(states.values()).items()
        )
        print(f"{suite.title}: {len(runs)} runs ({counts}) in {suite.out}", flush=True)
        bar = SweepProgress(len(todo), suite.metric)
        if args.launcher == "slurm":
            new = [run for run in todo if run.name not in waiting]
            job = submit(new, suite.out, args.parallel, args.sbatch) if new else None
            known = len(todo) - len(new)
            print(f"{known} queued already, {len(new)} submitted as job {job}", flush=True)
        elif todo:
            with bar:
                if args.launcher == "local":
                    run_local(todo, args.workers, suite.out, bar)
                else:
                    run_pytorch(todo, args.nproc, suite.out, bar, lock)
    if args.launcher == "slurm" and args.wait:
        with bar:
            wait_for(todo, suite.out, bar)
    return bar


@tool
def main() -> None:
    """Run the sweep; the exit status is 1 if a run failed, 130 after Ctrl-C."""
    args = parse_args()
    try:
        suite = Suite.fromfile(args.suite, args.out, args.cfg_options)
        runs = suite.runs(args.tasks, args.methods, args.seeds)
        for run in runs:
            require_metric(run.config(), run.metric, run.name)
        bar = start(suite, runs, args)
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.")
        sys.exit(130)
    except (ValueError, OSError, RuntimeError) as error:
        raise SystemExit(str(error)) from error
    if any(run.status() == "done" for run in runs):
        print(f"Page: {write_report([suite.out])}")
    if bar.counts["failed"]:
        print("Failed runs have the whole error in their record.json; the same command retries.")
    sys.exit(bool(bar.counts["failed"] + bar.counts["lost"]))


if __name__ == "__main__":
    main()
