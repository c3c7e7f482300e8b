"""One page about one run, or about several that are to be compared."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mmdyt.engine.cli import describe
from mmdyt.engine.provenance import versions
from mmdyt.engine.run_pictures import confusion, load_run, read_budgets, token_maps
from mmdyt.engine.work_dir import FinishedRun, find_runs
from mmdyt.evaluation import count_parameters
from mmdyt.evaluation.summary import layer_rates
from mmdyt.fileio import atomic_path
from mmdyt.models.utils.budget_table import require_own
from mmdyt.visualization.curves import TASK_LOSS, draw_curves, read_scalars
from mmdyt.visualization.report_page import draw_confusion, figure_uri, render_page, viewer_data
from mmdyt.visualization.suite_figures import draw_accuracy_cost, draw_rates_by_layer

MOST_DETAILED = 6  # runs whose models are loaded for pictures
MOST_CURVES = 12
# What configs raise that lack a part, or name what is not there any more.
UNUSABLE = (OSError, ValueError, LookupError, RuntimeError, ImportError, AttributeError, TypeError)
RATE, GFLOPS = "dispatch/activation_rate", "dispatch/gflops"
CURVES = {
    TASK_LOSS: (
        "Training loss of the task",
        "The term that all methods have. DyT's whole loss adds those of the complete model, of "
        "distillation and of the rate.",
    ),
    "activation_rate": ("Activation rate in training", ""),
}


def write_report(folders: Sequence[str | Path], out: str | Path | None = None) -> Path:
    """Write a self-contained page of HTML about finished runs.

    It has a table, accuracy over GFLOPs, curves and rates per layer; for up to six
    runs also token maps of test images, the confusion matrix of classifiers, config
    and versions. Models are loaded for that, on the CPU.

    Args:
        folders: Work dirs, or folders of suites and demos, whose runs are found.
        out: The file. Defaults to ``None``: ``report.html`` in the first folder.

    Returns:
        Path of the page.

    Raises:
        FileNotFoundError: As :func:`mmdyt.engine.work_dir.find_runs`.
        ValueError: As there: a run that was never tested has no page.
    """
    runs = find_runs(folders)
    out = Path(out or Path(folders[0]) / "report.html")
    details = list(map(_details, runs)) if len(runs) <= MOST_DETAILED else []
    note = "" if details else f"{len(runs)} runs: name up to {MOST_DETAILED} for their token maps."
    page = render_page(
        title=runs[0].name if len(runs) == 1 else ", ".join(map(str, folders)),
        **_table(runs, [one["trained"] for one in details] or [None] * len(runs)),
        figures=[
            dict(title=title, note=text, uri=figure_uri(figure))
            for title, text, figure in _figures(runs, [one["budgets"] for one in details])
        ],
        runs=details,
        note=note,
    )
    with atomic_path(out) as path:
        path.write_text(page, encoding="utf-8")
    return out


def _table(runs: Sequence[FinishedRun], trained: Sequence[int | None]) -> dict[str, Any]:
    metrics = list(dict.fromkeys(run.main_metric for run in runs))
    columns = {name: name for name in metrics} | {GFLOPS: "GFLOPs", RATE: "activation rate"}
    rows = []
    for run, number in zip(runs, trained):
        values = {name: run.metrics.get(name) for name in columns}
        number = number or run.record.get("params", {}).get("trainable")
        cells = [
            "-"
            if value is None
            else f"{value:.2f}"
            if name in metrics and value > 1
            else f"{value:.4g}"
            for name, value in values.items()
        ]
        rows.append(dict(name=run.name, cells=[*cells, f"{number:,}" if number else "-"]))
    return dict(columns=[*columns.values(), "trained parameters"], rows=rows)


def _figures(
    runs: Sequence[FinishedRun], tables: Sequence[list[dict[str, float]] | None]
) -> Iterator[tuple[str, str, Figure]]:
    """Titles, notes and figures of what all runs have to show.

    ``tables`` has the budgets that were held to a model, ``None`` where none was loaded.
    """
    budgets_of = {run.name: points for run, points in zip(runs, tables)}
    by_method: dict[str, list[FinishedRun]] = {}
    for run in runs:
        by_method.setdefault(run.method if len(runs) > MOST_DETAILED else run.name, []).append(run)
    metric = runs[0].main_metric
    points, groups, curves = {}, {}, {}
    for name, members in by_method.items():
        chosen = [run.metrics for run in members if {GFLOPS, metric} <= run.metrics.keys()]
        if chosen:
            gflops, mean = (statistics.mean(one[key] for one in chosen) for key in (GFLOPS, metric))
            points[name] = (gflops, mean)
            groups[name] = "with dispatch" if RATE in chosen[0] else "without dispatch"
        points_of = budgets_of.get(name)
        if points_of is None:
            points_of = read_budgets(members[0].work_dir)["points"]
        budgets = [
            (point["gflops"], point["accuracy"])
            for point in points_of
            if {"gflops", "accuracy"} <= point.keys()
        ]
        if budgets:
            curves[f"{name} at other budgets"] = budgets
    if points:
        note = "Mean of a method's runs." if len(runs) > MOST_DETAILED else ""
        figure = draw_accuracy_cost(points, groups, metric=metric, curves=curves)
        yield "Accuracy over cost", note, figure
    rates = {
        name: found
        for name, members in by_method.items()
        if (found := [r for run in members if (r := layer_rates(dict(metrics=run.metrics)))])
    }
    targets = {
        name: (run.config.model["dyt"] or {}).get("target_rate", 0.5)
        for name, (run, *_) in by_method.items()
        if name in rates and "dyt" in run.config.model
    }
    if rates:
        note = "Dotted: the target of the training."
        yield "Activation rate by layer", note, draw_rates_by_layer(rates, targets)
    if len(runs) <= MOST_CURVES:
        yield from _curves(runs, metric)


def _curves(runs: Sequence[FinishedRun], metric: str) -> Iterator[tuple[str, str, Figure]]:
    logs = {}
    for run in runs:
        if any(run.work_dir.glob("*/vis_data/scalars.json")):  # a test alone leaves none
            logs[run.name] = read_scalars(run.work_dir)
    for key, (title, note) in {**CURVES, metric: (f"{metric} while training", "")}.items():
        if any(key in entry for log in logs.values() for entry in log):
            yield title, note, draw_curves(logs, {key: ""})


def _details(run: FinishedRun) -> dict[str, Any]:
    """Load a run's model, and show what it does with test images."""
    found: dict[str, Any] = dict.fromkeys(("viewer", "confusion", "checkpoint", "trained"))
    found.update(problems=[], budgets=None)
    table = read_budgets(run.work_dir)
    try:
        model, dataset, checkpoint = load_run(run)
        found["budgets"] = budgets = _own_points(model, table, found["problems"])
        found.update(checkpoint=checkpoint.name, trained=count_parameters(model).trainable)
        counted = confusion(model, dataset, f"Testing {run.name}")
        if counted:
            uri = figure_uri(draw_confusion(counted["matrix"], counted["classes"]))
            found["confusion"] = dict(uri=uri, note=counted["images"])
        if maps := token_maps(model, dataset, budgets):
            names = [_budget_name(point) for point in budgets] or ["as trained"]
            start = min(range(len(budgets)), key=lambda i: abs(budgets[i]["shift"]), default=0)
            found["viewer"] = viewer_data(maps, names) | dict(start=start)
    except UNUSABLE as error:
        # Data or weights may have moved; what the run left is shown all the same.
        found["problems"].append(f"Not all pictures can be made: {describe(error)}")
    record = run.record
    recorded = {**record.get("versions", {}), **record.get("host", {})}
    return found | dict(
        name=run.name,
        work_dir=str(run.work_dir),
        metrics={name: f"{value:.6g}" for name, value in sorted(run.metrics.items())},
        versions=recorded or {"recorded": "none by the run; these made the page"} | versions(),
        config=run.config.pretty_text,
    )


def _own_points(model: Any, table: dict[str, Any], problems: list[str]) -> list[dict[str, float]]:
    """The points of a table that was measured on these weights."""
    try:
        if table.keys() > {"points"}:  # more than a list of points
            require_own(model, table)
    except ValueError as error:
        problems.append(f"budgets.json is left out: {error}")
        return []
    return table["points"]


def _budget_name(point: dict[str, float]) -> str:
    parts = (("rate", "rate {:.2f}"), ("gflops", "{:.4g} GFLOPs"), ("accuracy", "accuracy {:.2f}"))
    return ", ".join(form.format(point[key]) for key, form in parts if key in point)
