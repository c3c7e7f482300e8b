"""Run a suite: every method on every task with every seed.

Only what is missing, failed or done with another config is run; what was cut
off goes on from its last checkpoint. Each run leaves a record.json.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from mmengine.config import DictAction

from mmdyt.engine.suite import Suite
from mmdyt.engine.suite_launchers import run_local
from mmdyt.engine.suite_launchers.progress import SweepProgress


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", help="a suite file, such as configs/suites/digits.py")
    parser.add_argument("--launcher", choices=["local"], default="local")
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        help="processes on this machine; they share its cores (OMP_NUM_THREADS) and GPUs",
    )
    parser.add_argument("--tasks", nargs="+", help="only these tasks")
    parser.add_argument("--methods", nargs="+", help="only these methods")
    parser.add_argument("--seeds", nargs="+", type=int, help="only these seeds")
    parser.add_argument("--out", type=Path, help="default: work_dirs/suites/<name of the suite>")
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, help="overrides of every run: key=value ..."
    )
    args = parser.parse_args()
    if args.workers < 1:
        parser.error(f"--workers must be at least 1, got {args.workers}")
    return args


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
        with bar:
            run_local(todo, args.workers, suite.out, bar)
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
