"""Train several methods on one task, measure them alike, and keep the results.

The demos are thin scripts over this: what differs between them is the data, the
metric and the pictures.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from mmengine.runner import Runner
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from mmdyt.engine.checkpoints import newest_checkpoint
from mmdyt.engine.metric_names import require_metric
from mmdyt.engine.report import write_report
from mmdyt.engine.run_spec import SuiteRun
from mmdyt.engine.suite import Suite
from mmdyt.engine.suite_launchers.progress import SweepProgress
from mmdyt.engine.suite_run import execute
from mmdyt.evaluation.timing import time_alternately
from mmdyt.fileio import atomic_path, locked

TASK = "demo"


@dataclass(frozen=True)
class Result:
    """One method's run.

    Args:
        metrics: What testing gave, ``dispatch/*`` included.
        trainable: Number of trainable parameters.
        model: The trained model, in evaluation mode.
        runner: The runner that trained or loaded it.
        work_dir: Where its logs, checkpoints and curves are.
    """

    metrics: dict[str, float]
    trainable: int
    model: Any
    runner: Runner
    work_dir: Path

    @property
    def rates(self) -> dict[str, float]:
        """Activation rate by layer, as testing measured it."""
        prefix = "dispatch/rate_"
        return {
            key.removeprefix(prefix).replace("_", " "): value
            for key, value in self.metrics.items()
            if key.startswith(prefix)
        }

    def first_samples(self, size: int) -> tuple[Tensor, list]:
        """Preprocess the first test samples.

        Args:
            size: How many, ``B``.

        Returns:
            The inputs, ``(B, ...)``, and their data samples.
        """
        dataset = self.runner.test_dataloader.dataset
        samples = [dataset[index] for index in range(size)]
        batch = {key: [sample[key] for sample in samples] for key in samples[0]}
        data = self.model.data_preprocessor(batch, False)
        return data["inputs"], data["data_samples"]


def compare(
    methods: Mapping[str, str], config: str, metric: str, work_dir: Path
) -> dict[str, Result]:
    """Run several methods as a suite of one task and one seed, and load their models.

    What an earlier call left is reused as a sweep reuses it: a finished run while
    its config is the same, one that was cut off from its last checkpoint.

    Args:
        methods: The part of the config's path that names a method, by title.
        config: Path of their configs with ``{}`` for that part.
        metric: The metric that counts, such as ``'accuracy/top1'``.
        work_dir: Folder of all runs.

    Returns:
        Results by title.

    Raises:
        RuntimeError: If a run fails, or a sweep is at work in ``work_dir``.
    """
    suite = Suite(
        name=work_dir.name,
        title=work_dir.name,
        metric=metric,
        tasks={TASK: {}},
        methods={
            key: dict(title=title, config=config.format(key)) for title, key in methods.items()
        },
        seeds=[0],
        out=work_dir,
        cfg_options={"log_level": "ERROR"},
    )
    runs = suite.runs()
    for run in runs:
        require_metric(run.config(), run.metric, run.name)
    todo = [run for run in runs if run.status() != "done"]
    with locked(work_dir / "sweep.lock", "another sweep"), SweepProgress(len(todo), metric) as bar:
        for run in todo:
            bar.move(run.name, 0.0)
            record = execute(run, partial(bar.move, run.name))
            bar.end(run.name, record)
            if record["error"]:
                raise RuntimeError(f"{run.name}: {record['error']}")
    return {title: _load(run) for title, run in zip(methods, runs)}


def _load(run: SuiteRun) -> Result:
    record, checkpoint = run.record(), newest_checkpoint(run.work_dir)
    assert record and checkpoint
    cfg = run.config()
    cfg.merge_from_dict(dict(work_dir=str(run.work_dir), load_from=str(checkpoint)))
    runner = Runner.from_cfg(cfg)
    runner.load_or_resume()
    trainable = record["params"]["trainable"]
    return Result(record["metrics"], trainable, runner.model.eval(), runner, run.work_dir)


@torch.inference_mode()
def throughput(
    models: Mapping[str, nn.Module], inputs: Tensor, rounds: int = 9
) -> dict[str, float]:
    """Measure samples per second of several models on the same inputs.

    The models take turns, so that what else the machine does meets all of
    them; the median of the rounds counts, after one round of warm-up.

    Args:
        models: Models by name, in evaluation mode.
        inputs: Preprocessed samples, ``(B, ...)``.
        rounds: Timed passes a model. Defaults to 9.

    Returns:
        Samples per second by name.
    """
    passes = {name: partial(model, inputs) for name, model in models.items()}
    seconds = time_alternately(passes, rounds, title="Measuring speed")
    return {name: len(inputs) / statistics.median(each) for name, each in seconds.items()}


def print_comparison(
    title: str,
    results: Mapping[str, Result],
    speed: Mapping[str, float],
    metric: tuple[str, str],
    unit: str,
) -> list[dict[str, Any]]:
    """Print one row a method.

    Args:
        title: Of the table.
        results: Runs by method.
        speed: Samples per second by method, see :func:`throughput`.
        metric: Key of the metric to compare, and what to call it.
        unit: What a sample is, such as ``'image'``.

    Returns:
        The rows.
    """
    key, name = metric
    table = Table(title=title)
    for column in ("method", name, "trainable", "GFLOPs", "activation rate", f"{unit}s/s"):
        table.add_column(column, justify="left" if column == "method" else "right")
    rows = []
    for method, result in results.items():
        rate = result.metrics.get("dispatch/activation_rate")
        row = {
            "method": method,
            key: result.metrics[key],
            "trainable_params": result.trainable,
            "gflops": result.metrics["dispatch/gflops"],
            "activation_rate": rate,
            f"{unit}s_per_second": speed[method],
        }
        table.add_row(
            method,
            f"{row[key]:.4g}",
            f"{result.trainable:,}",
            f"{row['gflops']:.4f}",
            "-" if rate is None else f"{rate:.3f}",
            f"{speed[method]:.0f}",
        )
        rows.append(row)
    Console().print(table)
    return rows


def keep_comparison(
    work_dir: Path, rows: list[dict[str, Any]], figures: Mapping[str, Figure]
) -> None:
    """Write ``results.json``, pictures and one page about all runs, and say where.

    Args:
        work_dir: Where to.
        rows: What :func:`print_comparison` returned.
        figures: Figures by file name.
    """
    with atomic_path(work_dir / "results.json") as path:
        path.write_text(json.dumps(rows, indent=2))
    for name, figure in figures.items():
        with atomic_path(work_dir / name) as path:
            figure.savefig(path, dpi=120)
    print(f"Pictures, results.json, logs and checkpoints: {work_dir}")
    print(f"Page: {write_report([work_dir])}")
