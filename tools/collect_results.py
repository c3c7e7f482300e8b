"""Collect the records of a suite into tables and one page.

Writes ``results.md``, ``results.csv`` and ``results.html`` (which holds its
pictures and needs nothing else). Our figures stand beside the paper's; what is
missing or failed is named, and nothing is averaged over it.

    python tools/collect_results.py configs/suites/vtab1k.py
"""

from __future__ import annotations

import argparse
import base64
import csv
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from rich.console import Console

from mmdyt.engine.cli import tool
from mmdyt.engine.suite import Suite
from mmdyt.evaluation.summary import (
    Cell,
    Record,
    group_means,
    layer_rates,
    make_cell,
    mean_metric,
    task_mean,
)
from mmdyt.fileio import atomic_path
from mmdyt.visualization.suite_figures import draw_accuracy_cost, draw_rates_by_layer

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 100em; padding: 0 1em }}
table {{ border-collapse: collapse }} .wide {{ overflow-x: auto }}
td, th {{ border-bottom: 1px solid #ccc; padding: .25em .6em; text-align: right;
  white-space: nowrap }}
td:first-child, th:first-child {{ text-align: left; position: sticky; left: 0; background: #fff }}
tr.paper td {{ color: #333; background: #eef2f7 }} img {{ max-width: 100% }}
</style></head><body><h1>{title}</h1><p>{coverage}</p>
<div class="wide">{table}</div>{pictures}</body></html>
"""


@dataclass(frozen=True)
class Row:
    """A method's line.

    Args:
        title: What to call it.
        cells: Text by column.
        paper: Whether these are figures of the paper.
    """

    title: str
    cells: dict[str, str]
    paper: bool = False


@dataclass(frozen=True)
class Method:
    """What a method came to.

    Args:
        tasks: Cell by task; only those that it runs on.
        means: Cell by group, ``'mean'`` (of the groups' means) and, with several
            groups, ``'mean of tasks'``.
        records: Its finished runs.
    """

    tasks: dict[str, Cell]
    means: dict[str, Cell]
    records: list[Record]


def collect(suite: Suite) -> dict[str, Method]:
    """Read all records of a suite, by method."""
    records: dict[str, dict[str, dict[int, Record | None]]] = {}
    for run in suite.runs():
        record = run.record() if run.status() in ("done", "failed") else None
        records.setdefault(run.method, {}).setdefault(run.task, {})[run.seed] = record
    groups = {name: task.get("group", "") for name, task in suite.tasks.items()}
    methods = {}
    for name, by_task in records.items():
        cells = {task: make_cell(by_seed, suite.metric) for task, by_seed in by_task.items()}
        done = [
            record
            for by_seed in by_task.values()
            for record in by_seed.values()
            if record and record["status"] == "done"
        ]
        means = group_means(cells, groups)
        if len(means) > 2:  # several groups: two means are in use
            means = {**means, "mean of tasks": task_mean(cells)}
        methods[name] = Method(cells, means, done)
    return methods


def make_rows(suite: Suite, methods: dict[str, Method]) -> list[Row]:
    """Lay out one row a method, and below it the paper's figures if there are any."""
    rows = []
    for name, method in methods.items():
        spec = suite.methods[name]
        title = spec.get("title", name)
        cells = {task: str(cell) for task, cell in method.tasks.items()}
        cells |= {group: str(cell) for group, cell in method.means.items()}
        if method.records:
            trained = method.records[0]["params"]["trainable"]
            cells["trained, M"] = f"{trained / 1e6:.3g}"
        for column, metric in (("GFLOPs", "gflops"), ("rate", "activation_rate")):
            value = mean_metric(method.records, f"dispatch/{metric}")
            cells[column] = "-" if value is None else f"{value:.4g}"
        rows.append(Row(title, cells))
        if paper := dict(spec.get("paper", {})):
            if "gflops" in paper:
                paper["GFLOPs"] = paper.pop("gflops")
            rows.append(Row(f"{title} (paper)", {k: f"{v:g}" for k, v in paper.items()}, True))
    return rows


def columns_of(suite: Suite, methods: dict[str, Method]) -> dict[str, str]:
    """Order the columns: key and heading of tasks, groups, and what a method costs."""
    columns = {name: task.get("title", name) for name, task in suite.tasks.items()}
    for method in methods.values():
        columns |= {group: group for group in method.means if group != "mean"}
    return columns | {name: name for name in ("mean", "trained, M", "GFLOPs", "rate")}


def to_markdown(columns: dict[str, str], rows: Sequence[Row]) -> str:
    """Write the table as Markdown."""
    lines = [["method", *columns.values()], ["---", *["---:"] * len(columns)]]
    lines += [[row.title, *(row.cells.get(key, "-") for key in columns)] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def to_csv(columns: dict[str, str], rows: Sequence[Row]) -> str:
    """Write the table as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["method", "source", *columns])
    for row in rows:
        source = "paper" if row.paper else "here"
        writer.writerow([row.title, source, *(row.cells.get(key, "") for key in columns)])
    return out.getvalue()


def to_html(
    title: str, coverage: str, columns: dict[str, str], rows: Sequence[Row], figures: list[Figure]
) -> str:
    """Write the page, pictures inside."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ("method", *columns.values()))
    body = []
    for row in rows:
        cells = [row.title, *(row.cells.get(key, "-") for key in columns)]
        kind = ' class="paper"' if row.paper else ""
        body.append(f"<tr{kind}>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>")
    pictures = []
    for figure in figures:
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=110)
        data = base64.b64encode(out.getvalue()).decode()
        pictures.append(f'<p><img alt="" src="data:image/png;base64,{data}"></p>')
    return PAGE.format(
        title=html.escape(title),
        coverage=html.escape(coverage),
        table=f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>",
        pictures="".join(pictures),
    )


def draw(suite: Suite, methods: dict[str, Method]) -> list[Figure]:
    """Draw accuracy over cost, and activation rates over depth, of what is complete."""
    title = {name: spec.get("title", name) for name, spec in suite.methods.items()}
    points, rates, targets = {}, {}, {}
    for name, method in methods.items():
        gflops = mean_metric(method.records, "dispatch/gflops")
        mean = method.means["mean"].mean
        if gflops is not None and mean is not None:
            points[title[name]] = (gflops, mean)
        by_layer = [layer_rates(record) for record in method.records if layer_rates(record)]
        if by_layer:
            rates[title[name]] = by_layer
            options = suite.methods[name].get("cfg_options", {})
            targets[title[name]] = options.get("model.dyt.target_rate", 0.5)
    figures = []
    if points:
        kinds = {name: "with dispatch" if name in rates else "without" for name in points}
        figures.append(draw_accuracy_cost(points, kinds))
    if rates:
        figures.append(draw_rates_by_layer(rates, targets))
    return figures


@tool
def main() -> None:
    """Write the three files and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("suite", help="a suite file, such as configs/suites/vtab1k.py")
    parser.add_argument("--out", type=Path, help="the sweep's; default: work_dirs/suites/<name>")
    parser.add_argument("--to", type=Path, help="folder of the results; default: that of --out")
    args = parser.parse_args()
    suite = Suite.fromfile(args.suite, args.out)
    methods = collect(suite)
    columns, rows = columns_of(suite, methods), make_rows(suite, methods)
    runs, done = len(suite.runs()), sum(len(method.records) for method in methods.values())
    coverage = f"{done} of {runs} runs are done. {suite.metric}, mean and deviation over seeds."
    markdown = to_markdown(columns, rows)
    files = {
        "results.md": f"# {suite.title}\n\n{coverage}\n\n{markdown}\n",
        "results.csv": to_csv(columns, rows),
        "results.html": to_html(suite.title, coverage, columns, rows, draw(suite, methods)),
    }
    folder = args.to or suite.out
    for name, text in files.items():
        with atomic_path(folder / name) as path:
            path.write_text(text)
    Console().print(files["results.md"], highlight=False, markup=False, soft_wrap=True)
    print(f"Written to {folder}: {', '.join(files)}")


if __name__ == "__main__":
    main()
