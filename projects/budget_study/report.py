"""Write ``results.md``: models set to a rate against models that were trained for it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmdyt.fileio import atomic_path
from projects.budget_study.measure import FOLDER
from projects.study.tables import mean_and_spread, table

PAGE = Path("projects/budget_study/results.md")
WITHIN_POINTS, WITHIN_RATE = 1.0, 0.03
HEAD = ("trained for", "set to", "accuracy", "trained for it", "difference", "rate", "within")


def paired(runs: Sequence[dict], base: float, rate: float, form: str) -> list[tuple[dict, dict]]:
    """Pair models that are set to a rate with those of their seed that were trained for it.

    Args:
        runs: Measured runs of one task.
        base: What the former were trained for.
        rate: What they are set to.
        form: ``'threshold'`` or ``'capacity'``.

    Returns:
        What was measured of both, by seed.
    """
    trained = {run["seed"]: run["as_trained"] for run in runs if run["target_rate"] == rate}
    return [
        (point, trained[run["seed"]])
        for run in runs
        if run["target_rate"] == base and run["seed"] in trained
        for point in run.get("set_to", [])
        if (point["asked"], point["form"]) == (rate, form)
    ]


def row(base: float, rate: float, pairs: Sequence[tuple[dict, dict]]) -> list[str]:
    """One row: means and standard deviations over the seeds, and whether it is close enough.

    Close enough are a mean accuracy of at most one point less, and every measured
    rate within 0.03 of the one that was asked for.
    """
    points, trained = zip(*pairs)
    lost = [point["accuracy"] - other["accuracy"] for point, other in pairs]
    off = [abs(point["rate"] - rate) for point in points]
    close = {"accuracy": statistics.mean(lost) >= -WITHIN_POINTS, "rate": max(off) <= WITHIN_RATE}
    missed = [name for name, holds in close.items() if not holds]
    spread = f" ± {statistics.stdev(lost):.1f}" if len(lost) > 1 else ""
    return [
        f"{base:g}",
        f"{rate:g}",
        mean_and_spread([point["accuracy"] for point in points]),
        mean_and_spread([other["accuracy"] for other in trained]),
        f"{statistics.mean(lost):+.1f}{spread}",
        f"{statistics.mean([point['rate'] for point in points]):.3f} (off by {max(off):.3f})",
        "yes" if not missed else f"not in {' and '.join(missed)}",
    ]


def task_tables(runs: Sequence[dict]) -> str:
    """The tables of a task: as trained, set with a threshold, set with equal tokens."""
    rates = sorted({run["target_rate"] for run in runs})
    trained = []
    for rate in rates:
        points = [run["as_trained"] for run in runs if run["target_rate"] == rate]
        accuracy = mean_and_spread([point["accuracy"] for point in points])
        measured = ", ".join(f"{point['rate']:.3f}" for point in points)
        trained.append([f"{rate:g}", accuracy, measured])
    head = ("trained for", "accuracy", "measured rates by seed")
    parts = [f"As trained:\n\n{table(head, trained)}"]
    for form, title in (("threshold", "Set, with a threshold"), ("capacity", "With equal tokens")):
        rows = [
            row(base, rate, pairs)
            for base in rates
            for rate in rates
            if (pairs := paired(runs, base, rate, form))
        ]
        parts.append(f"{title}:\n\n{table(HEAD, rows)}" if rows else f"{title}: not measured.")
    return "\n\n".join(parts)


def render(studies: dict[str, dict[str, Any]]) -> str:
    """Write the page.

    Args:
        studies: Content of the files of ``measure.py``, by name of the suite.
    """
    parts = [
        "# One model at several rates, against models trained for them",
        "Written by `python -m projects.budget_study.report` from `results/`, which "
        "`projects/budget_study/measure.py` measured. Test accuracy in %, mean ± standard "
        "deviation over the seeds; differences are taken seed by seed. *Rate* is the mean measured "
        "on the test images, with the largest deviation from the asked one. *Within*: at most "
        f"{WITHIN_POINTS:g} point less than the models that were trained for the rate, and every "
        f"rate within {WITHIN_RATE:g}. Models are calibrated on the images of the list that is "
        "named and tested on others; calibration looks at rates, not at labels.",
    ]
    if not studies:
        parts.append("Nothing is measured yet.")
    for name, study in sorted(studies.items()):
        runs = list(study["runs"].values())
        for task in dict.fromkeys(run["task"] for run in runs):
            own = [run for run in runs if run["task"] == task]
            lists = sorted({run["how"]["calibration"] for run in own if "how" in run})
            seeds = sorted({run["seed"] for run in own})
            facts = f"Seeds {', '.join(map(str, seeds))}; calibrated on {', '.join(lists) or '-'}."
            parts += [f"## {name}, {task}", facts, task_tables(own)]
    return "\n\n".join(parts) + "\n"


def read_studies(folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """Read what was measured, by name of the suite."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def main() -> None:
    """Write the page, and print it."""
    page = render(read_studies())
    with atomic_path(PAGE) as path:
        path.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
