r"""Set trained models to the rates that others were trained for, and test all of them.

The methods are DyT models that differ in ``model.dyt.target_rate``. Every model of ``--bases``
is calibrated on images that it is not tested on (:func:`mmdyt.engine.budgets.measure_budgets`),
set to each of the target rates (:func:`mmdyt.set_budget`) and tested. Runs that are measured
already are left alone.

    python tools/sweep.py configs/suites/budgets_digits.py
    python -m projects.budget_study.measure configs/suites/budgets_digits.py
    python -m projects.budget_study.measure \
        projects/photo_study/configs/suites/photo_budgets.py --bases dyt-r0.3
    python -m projects.budget_study.report
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.runner import Runner
from rich.console import Console
from rich.progress import track

from mmdyt.engine.budgets import evaluation_runner, measure, measure_budgets
from mmdyt.engine.cli import positive_int, tool
from mmdyt.engine.provenance import host, versions
from mmdyt.engine.run_spec import SuiteRun
from mmdyt.engine.suite import Suite
from mmdyt.fileio import atomic_path
from mmdyt.models.utils import set_budget

FOLDER = Path("projects/budget_study/results")


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("suite", help="a suite file with DyT methods of several rates")
    parser.add_argument("--methods", nargs="+", help="the models that were trained for the rates")
    parser.add_argument("--bases", nargs="+", help="those that are set to them; default: all")
    parser.add_argument("--tasks", nargs="+", help="only these tasks")
    parser.add_argument("--seeds", nargs="+", type=int, help="only these seeds")
    parser.add_argument("--out", type=Path, help="the sweep's folder; default: the suite's own")
    parser.add_argument(
        "--calibration", default="val200.txt", help="list of images to calibrate on (ann_file)"
    )
    parser.add_argument("--points", type=positive_int, default=9, help="budgets of each table")
    return parser.parse_args()


def target_rate(run: SuiteRun) -> float:
    """The rate that a run trains for.

    Raises:
        ValueError: If its config names none.
    """
    rate = (run.config().model.get("dyt") or {}).get("target_rate")
    if rate is None:
        raise ValueError(f"{run.name}: the config has no model.dyt.target_rate")
    return float(rate)


def tested(runner: Runner, metric: str) -> dict[str, Any]:
    """Test a model as it is set now: ``accuracy``, ``rate`` and ``gflops``."""
    point = measure(runner, metric)
    return {key: point[key] for key in ("accuracy", "rate", "gflops")}


def spend(run: SuiteRun, rates: Sequence[float], calibration: str, points: int) -> list[dict]:
    """Calibrate one model, and test it at every rate in both forms.

    Args:
        run: A finished run.
        rates: The rates to set.
        calibration: ``ann_file`` of the images to calibrate on.
        points: Budgets of the table.

    Returns:
        By rate and form (``'threshold'``, ``'capacity'``): ``asked``, ``form`` and
        what :func:`tested` measured.
    """
    checkpoint, metric = str(run.work_dir / "adapter.safetensors"), run.metric
    found = []
    with tempfile.TemporaryDirectory() as folder:
        cfg = run.config()
        cfg.test_dataloader.dataset.ann_file = calibration
        budgets = measure_budgets(evaluation_runner(cfg, checkpoint, folder), points, metric)
        runner = evaluation_runner(run.config(), checkpoint, folder)
        for form in ("threshold", "capacity"):
            for rate in rates:
                set_budget(runner.model, rate=rate, capacity=form == "capacity", budgets=budgets)
                found.append(dict(asked=rate, form=form, **tested(runner, metric)))
    return found


def as_trained(run: SuiteRun) -> dict[str, Any]:
    """What the run's own test measured, of the model that nothing was done to."""
    metrics = (run.record() or {})["metrics"]
    return dict(
        accuracy=metrics[run.metric],
        rate=metrics["dispatch/activation_rate"],
        gflops=metrics["dispatch/gflops"],
    )


@tool
def main() -> None:
    """Measure what is not measured yet; one file a suite, written after each model."""
    args = parse_args()
    suite = Suite.fromfile(args.suite, args.out)
    runs = suite.runs(args.tasks, args.methods, args.seeds)
    bases = {run.name for run in suite.runs(args.tasks, args.bases or args.methods, args.seeds)}
    if unknown := bases - {run.name for run in runs}:
        raise ValueError(f"--bases must be among --methods, {min(unknown)} is not")
    for run in runs:
        if run.status() != "done":
            raise ValueError(f"{run.name} is not trained: tools/sweep.py {args.suite} does that")
        if run.config().test_dataloader.dataset.ann_file == args.calibration:
            raise ValueError(f"{run.name} is tested on {args.calibration}: calibrate on others")
    trained_for = {run.name: target_rate(run) for run in runs}
    rates = sorted({*trained_for.values()})
    how = dict(calibration=args.calibration, points=args.points, rates=rates)
    file = FOLDER / f"{suite.name}.json"
    known = json.loads(file.read_text())["runs"] if file.exists() else {}
    logging.disable(logging.INFO)
    for run in track(runs, suite.title, transient=True):
        own = (run.record() or {})["fingerprint"]
        entry = known.get(run.name, {})
        if entry.get("fingerprint") != own:
            entry = {}
        if run.name in bases and entry.get("how") != how:
            found = spend(run, rates, args.calibration, args.points)
            entry = dict(how=how, set_to=found, host=host(), versions=versions())
        known[run.name] = entry | dict(
            task=run.task,
            method=run.method,
            seed=run.seed,
            fingerprint=own,
            target_rate=trained_for[run.name],
            as_trained=as_trained(run),
        )
        with atomic_path(file) as path:
            content = dict(suite=args.suite, metric=suite.metric, runs=known)
            path.write_text(json.dumps(content, indent=1) + "\n")
    Console().print(f"{len(runs)} runs in {file}", soft_wrap=True)


if __name__ == "__main__":
    main()
