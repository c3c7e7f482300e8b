"""Write ``results.md`` from the committed records, in a second."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmdyt.engine.cli import tool
from mmdyt.engine.suite import Suite
from mmdyt.fileio import atomic_path
from projects.recipe_study.batch_norms import FOUND
from projects.recipe_study.collect import RECORDS, SUITES
from projects.study.records import read_records
from projects.study.study import Record, Study, activation_rate, lr_of
from projects.study.tables import commits, mean_and_spread, table

PAGE = Path("projects/recipe_study/results.md")


def cell(study: Study, method: str) -> str:
    """Mean and deviation of a method's seeds, and its mean activation rate in brackets."""
    own = [record for record in study.records if record["method"] == method]
    if not own:
        return "-"
    shown = mean_and_spread([record["metrics"][study.suite.metric] for record in own])
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
    """The best learning rate of each method, by the first seed, which the whole grid has.

    Of equals the larger.
    """
    first = study.suite.seeds[0]
    values = {
        record["method"]: record["metrics"][study.suite.metric]
        for record in study.records
        if record["seed"] == first
    }
    return {
        base: max((values[name], rate) for rate, name in names.items() if name in values)[1]
        for base, names in grid(study).items()
        if values.keys() & set(names.values())
    }


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


def changes_table(study: Study) -> str:
    """One row for each of the other methods: a change of the recipe."""
    names = [name for name in study.suite.methods if "-lr" not in name]
    titles = [study.suite.methods[name]["title"].rpartition(", lr")[0] for name in names]
    rows = [[title, cell(study, name)] for title, name in zip(titles, names, strict=True)]
    return table(["change", f"{study.suite.metric}, %"], rows)


def norms_table(found: Mapping[str, Mapping[str, float]]) -> str:
    """Means and deviations over the seeds of what ``batch_norms.py`` measured."""
    kinds = list(next(iter(found.values())))
    cells = [mean_and_spread([seed[kind] for seed in found.values()]) for kind in kinds]
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
        "data and are measured on the rest of it; test data chose nothing. Means and standard "
        "deviations over seeds, where there are several; in brackets the measured rate of a target "
        "of 0.5. Bold: the best learning rate by the first seed, which the demo's config has.",
    ]
    for name, path in SUITES.items():
        study = Study(Suite.fromfile(path), records.get(name, []))
        parts += [f"## {study.suite.title}", f"`{path}`, {commits(study)}.", grid_table(study)]
        if any("-lr" not in method for method in study.suite.methods):
            parts += ["The recipe changed in one point, at a learning rate of 0.01:"]
            parts += [changes_table(study)]
    if norms:
        parts += [
            "## Statistics of batch norms",
            "The heads' running statistics gathered again over the training scenes, with masks as "
            "in training and as in a test (`python -m projects.recipe_study.batch_norms`):",
            norms_table(norms["seeds"]),
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
