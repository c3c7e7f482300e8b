"""Render results.md, its figures and the README's table from the committed records, in seconds.

``python -m projects.photo_study.collect`` makes the records; the page's text is in ``page.txt``.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from string import Template
from typing import Any

from matplotlib.figure import Figure

from mmdyt.engine.cli import tool
from mmdyt.engine.suite import Suite
from mmdyt.fileio import atomic_path
from mmdyt.visualization.suite_figures import draw_accuracy_cost, draw_rates_by_layer
from projects.photo_study.claims import ABLATIONS, CLAIMS, MAIN
from projects.photo_study.collect import FOLDER, HERE, RECORDS, SUITES
from projects.photo_study.readme import (
    README,
    between_marks,
    float32_titles,
    merged_note,
    readme_section,
)
from projects.study.intervals import judge
from projects.study.records import read_records
from projects.study.study import Record, Study, rates, saved_mflops
from projects.study.tables import (
    claims_table,
    commits,
    coverage,
    lr_table,
    results_table,
    table,
    verdict_list,
)

METRIC = "accuracy, %, mean of the tasks"
TEXT, PAGE, SPEED = HERE / "page.txt", HERE / "results.md", FOLDER / "speed.json"


def read_speed() -> dict[str, Any] | None:
    """The measured speed, ``None`` if it was not measured yet."""
    return json.loads(SPEED.read_text()) if SPEED.exists() else None


def complete_methods(study: Study) -> list[str]:
    """The main methods that ran on every task."""
    return [name for name in MAIN if len(study.by_task(name)) == len(study.suite.tasks)]


def readme_methods(study: Study) -> list[str]:
    """What the README's table and the figures show: the control on random weights is no method."""
    return [name for name in complete_methods(study) if name != "random-weights"]


def speed_section(study: Study, speed: dict[str, Any] | None) -> str:
    """The measured images a second, with what they were measured on."""
    if speed is None:
        return "Speed was not measured yet (`python -m projects.photo_study.measure_speed`)."
    titles = study.suite.methods
    rows = [[titles[name]["title"], f"{value:.1f}"] for name, value in speed["speed"].items()]
    where = (
        f"Batches of {speed['batch']} photographs of {speed['task']}, {speed['threads']} threads "
        f"of {speed['host']['cpu']}, torch {speed['versions']['torch']}; the models took "
        f"turns{merged_note(study, speed)}. The linear probe computes the least of those without "
        "dispatch: where it is not the fastest of them, that is how far the figures scatter."
    )
    return f"{where}\n\n{table(['method', 'images/s'], rows)}"


def figures_section(figures: Sequence[str]) -> str:
    """The figures that could be drawn."""
    captions = {
        "accuracy_cost.png": "Accuracy over measured cost",
        "accuracy_speed.png": "Accuracy over measured speed",
        "rates.png": "Activation rate by layer",
    }
    return "\n\n".join(f"![{captions[name]}](results/{name})" for name in figures)


def render_page(study: Study, lr_records: Sequence[Record], speed: dict[str, Any] | None) -> str:
    """Fill the page's text with what the records say."""
    tested = [claim for claim in CLAIMS if study.can_test(claim)]
    verdicts = Counter(judge(study.interval(claim), claim.margin) for claim in tested)
    there = [*study.records, *lr_records]
    missing = "; ".join(claim.text for claim in CLAIMS if claim not in tested)
    return Template(TEXT.read_text()).substitute(
        coverage=coverage(study),
        results=results_table(study, MAIN),
        ablations=results_table(study, ABLATIONS),
        claims=claims_table(study, tested) if tested else "No claim can be tested yet.",
        agrees=verdict_list(study, tested, "agrees"),
        disagrees=verdict_list(study, tested, "does not agree"),
        undecided=verdict_list(study, tested, "undecided"),
        untested=missing or "none",
        num_claims=len(tested),
        num_agrees=verdicts["agrees"],
        num_disagrees=verdicts["does not agree"],
        num_undecided=verdicts["undecided"],
        figures=figures_section(list(draw(study, speed))),
        speed=speed_section(study, speed),
        lr_coverage=coverage(Study(Suite.fromfile(SUITES["lr"]), list(lr_records))),
        learning_rates=lr_table(study, lr_records),
        float32="; ".join(float32_titles(study, list(study.suite.methods))),
        hours=f"{sum(record['seconds'] for record in there) / 3600:.1f}",
        cpu=", ".join(sorted({record["host"]["cpu"] for record in there})),
        torch=", ".join(sorted({record["versions"]["torch"] for record in there})),
        commits=commits(Study(study.suite, there)),
    )


def draw(study: Study, speed: dict[str, Any] | None) -> dict[str, Figure]:
    """Draw the figures whose records there are, by their file names; without the control."""
    methods, complete = study.suite.methods, readme_methods(study)
    title = {name: methods[name]["title"] for name in methods}
    kinds = {
        title[name]: "DyT" if name.startswith("dyt") else "without dispatch" for name in complete
    }
    figures = {}
    if complete:
        figures["accuracy_cost.png"] = draw_accuracy_cost(
            {title[name]: (-study.mean(name, saved_mflops), study.mean(name)) for name in complete},
            kinds,
            unit="MFLOPs",
            metric=METRIC,
        )
    if timed := [name for name in complete if speed and name in speed["speed"]]:
        assert speed is not None
        task = speed["task"]  # dispatch is as fast as its rate on a task allows
        points = {
            title[name]: (speed["speed"][name], statistics.mean(study.by_task(name)[task]))
            for name in timed
        }
        metric = f"accuracy, %, {study.suite.tasks[task]['title']}"
        figure = draw_accuracy_cost(points, kinds, metric=metric)
        figure.axes[0].set_xlabel("images a second, measured")
        figures["accuracy_speed.png"] = figure
    dispatched = {
        title[name]: [rates(record) for record in study.records if record["method"] == name]
        for name in ("dyt-r0.7", "dyt", "dyt-ssf")
    }
    if dispatched := {name: each for name, each in dispatched.items() if each}:
        targets = {name: 0.7 if name == title["dyt-r0.7"] else 0.5 for name in dispatched}
        figures["rates.png"] = draw_rates_by_layer(dispatched, targets)
    return figures


@tool
def main() -> None:
    """Write the page and the figures."""
    records, speed = read_records(RECORDS), read_speed()
    study = Study(Suite.fromfile(SUITES["study"]), records["study"])
    for name, figure in draw(study, speed).items():
        with atomic_path(FOLDER / name) as path:
            figure.savefig(path, dpi=110, metadata={"Software": None})
    with atomic_path(PAGE) as path:
        path.write_text(render_page(study, records["lr"], speed))
    section = readme_section(study, readme_methods(study), speed)
    with atomic_path(README) as path:
        path.write_text(between_marks(README.read_text(), section))
    print(f"{PAGE}, the figures in {FOLDER} and the table of {README} are written")


if __name__ == "__main__":
    main()
