"""Write ``results.md`` from the committed records, in a second."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mmdyt.engine.cli import tool
from mmdyt.engine.suite import Suite
from mmdyt.fileio import atomic_path
from projects.recipe_study.batch_norms import FOUND, METHOD
from projects.recipe_study.collect import RECORDS, SUITES
from projects.study.records import read_records
from projects.study.study import Record, Study, activation_rate, best_rate, lr_of
from projects.study.tables import commits, coverage, mean_and_spread, table

PAGE = Path("projects/recipe_study/results.md")
FRACTIONS = ("acc/top1",)  # mmaction2 measures no percentage


def cell(study: Study, method: str) -> str:
    """Mean and deviation of a method's seeds, and its mean activation rate in brackets."""
    own = [record for record in study.records if record["method"] == method]
    if not own:
        return "-"
    scale = 100.0 if study.suite.metric in FRACTIONS else 1.0
    shown = mean_and_spread([scale * record["metrics"][study.suite.metric] for record in own])
    if "dispatch/activation_rate" in own[0]["metrics"]:
        shown += f" ({statistics.mean(map(activation_rate, own)):.2f})"
    return shown


def grid(study: Study) -> dict[str, dict[float, str]]:
    """Names of the methods called ``<method>-lr<rate>``, by method and rate."""
    found: dict[str, dict[float, str]] = {}
    for name, method in study.suite.methods.items():
        base, lr, _ = name.rpartition("-lr")
        if lr:
            found.setdefault(base, {})[lr_of(method)] = name
    return found


def best_rates(study: Study) -> dict[str, float]:
    """The best learning rate of each method by the first seed; of equals the larger.

    Methods whose best is the least or the largest rate that was measured are left out.
    """
    first = study.suite.seeds[0]
    values = {
        record["method"]: record["metrics"][study.suite.metric]
        for record in study.records
        if record["seed"] == first
    }
    best = {}
    for base, names in grid(study).items():
        measured = {rate: values[name] for rate, name in names.items() if name in values}
        with suppress(ValueError):  # none is measured, or the best lies at the edge
            best[base] = best_rate(measured)
    return best


def grid_table(study: Study) -> str:
    """One row a method and one column a learning rate; the best is bold."""
    found, best = grid(study), best_rates(study)
    columns = sorted({rate for names in found.values() for rate in names})
    head = [f"{study.suite.metric}, %", *(f"lr {rate:g}" for rate in columns)]
    rows = []
    for base, names in found.items():
        cells = {rate: cell(study, name) for rate, name in names.items()}
        if base in best:
            cells[best[base]] = f"**{cells[best[base]]}**"
        title = study.suite.methods[next(iter(names.values()))]["title"].rpartition(", lr")[0]
        rows.append([title, *(cells.get(rate, "-") for rate in columns)])
    return table(head, rows)


def changes_table(study: Study, unchanged: str) -> str:
    """One row for a method, and one for each that changes its recipe."""
    names = [unchanged, *(name for name in study.suite.methods if "-lr" not in name)]
    titles = [study.suite.methods[name]["title"].rpartition(", lr")[0] for name in names]
    rows = [[title, cell(study, name)] for title, name in zip(titles, names, strict=True)]
    return table(["change", f"{study.suite.metric}, %"], rows)


def norms_table(runs: Sequence[Mapping]) -> str:
    """Means and deviations over the seeds of what ``batch_norms.py`` measured."""
    kinds = [key for key in runs[0] if key != "fingerprint"]
    cells = [mean_and_spread([run[kind] for run in runs]) for kind in kinds]
    return table(["running statistics", "mIoU, %"], list(map(list, zip(kinds, cells, strict=True))))


def render(records: Mapping[str, Sequence[Record]], norms: Mapping | None) -> str:
    """Write the page.

    Args:
        records: By name of the suite.
        norms: What ``batch_norms.py`` wrote, ``None`` if it was not run.
    """
    parts = [
        "# Recipe of short trainings",
        "Written by `python -m projects.recipe_study.report`. Models train on part of the training "
        "data and are measured on the rest of it, not on test data. Means, and standard deviations "
        "over seeds where there are several; in brackets the measured rate of a target of 0.5. "
        "Bold: the best learning rate by the first seed, inside of what was measured. The demos' "
        "configs have it, but for the paper's recipe, which keeps the paper's 0.001.",
    ]
    for name, path in SUITES.items():
        study = Study(Suite.fromfile(path), records.get(name, []))
        facts = f"`{path}`, {commits(study)}. {coverage(study)}"
        parts += [f"## {study.suite.title}", facts, grid_table(study)]
        if name == "scenes":
            parts += ["DyT's recipe changed, at its best learning rate:"]
            parts += [changes_table(study, METHOD)]
    if norms:
        parts += [
            "## Statistics of batch norms",
            "The heads' running statistics gathered again over the training scenes, with masks as "
            "in training and as in a test (`python -m projects.recipe_study.batch_norms`):",
            norms_table(norms["runs"]),
        ]
    return "\n\n".join(parts) + "\n"


def read_norms() -> Mapping | None:
    """What ``batch_norms.py`` wrote, if it was run."""
    return json.loads(FOUND.read_text()) if FOUND.exists() else None


@tool
def main() -> None:
    """Write the page, and print it."""
    page = render(read_records(RECORDS), read_norms())
    with atomic_path(PAGE) as path:
        path.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
