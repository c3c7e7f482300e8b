"""A study's records as tables and sentences of its page."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from projects.study.intervals import judge
from projects.study.study import (
    Claim,
    Record,
    Study,
    activation_rate,
    lr_of,
    mean_accuracies,
    saved_mflops,
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a Markdown table; the first column is text, the others are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def results_table(study: Study, methods: Sequence[str] | None = None) -> str:
    """One row a method: accuracy on every task, mean, parameters, cost, rate.

    Args:
        study: The records with their suite.
        methods: Names of the rows. Defaults to ``None``: all methods.

    Returns:
        The table of the tasks that all of them have, without methods that have no
        records; a mean needs all of these tasks.
    """
    chosen = list(study.suite.methods) if methods is None else list(methods)
    own = [study.suite.methods[name].get("tasks", study.suite.tasks) for name in chosen]
    tasks = [task for task in study.suite.tasks if all(task in each for each in own)]
    study = replace(study, records=[r for r in study.records if r["task"] in tasks])
    rows = []
    for name in chosen:
        values = study.by_task(name)
        first = next((r for r in study.records if r["method"] == name), None)
        if first is None:
            continue
        cells = [mean_and_spread(values.get(task, [])) for task in tasks]
        dispatched = "dispatch/activation_rate" in first["metrics"]
        rows.append(
            [
                study.suite.methods[name]["title"],
                *cells,
                f"**{mean_of_tasks(study, name)}**" if len(values) == len(tasks) else "-",
                f"{first['params']['trainable'] / 1e3:.1f}",
                f"{-study.mean(name, saved_mflops):.2f}",
                f"{study.mean(name, activation_rate):.2f}" if dispatched else "-",
            ]
        )
    titles = [study.suite.tasks[task]["title"] for task in tasks]
    return table(["method", *titles, "mean", "trained, K", "MFLOPs", "rate"], rows)


def mean_of_tasks(study: Study, method: str) -> str:
    """Write a method's mean over the tasks, and its deviation over seeds that have them all."""
    by_seed = {}
    for seed in study.suite.seeds:
        own = replace(study, records=[r for r in study.records if r["seed"] == seed])
        if own.by_task(method).keys() == study.by_task(method).keys():
            by_seed[seed] = own.mean(method)
    spread = f" ± {statistics.stdev(by_seed.values()):.2f}" if len(by_seed) > 1 else ""
    return f"{study.mean(method):.2f}{spread}"


def mean_and_spread(values: Sequence[float]) -> str:
    """Write a mean, with the standard deviation if there are several values."""
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"


def claims_table(study: Study, claims: Sequence[Claim]) -> str:
    """One row per claim: difference, interval, verdict."""
    rows = []
    for claim in claims:
        found = study.interval(claim)
        rows.append(
            [
                claim.text,
                f"{found.mean:+.2f} {claim.unit}",
                f"{found.low:+.2f} to {found.high:+.2f}",
                f"{found.pairs}",
                f"**{judge(found, claim.margin)}**",
                claim.paper,
            ]
        )
    return table(["claim", "difference", "95 % interval", "pairs", "our data", "paper"], rows)


def verdict_list(study: Study, claims: Sequence[Claim], verdict: str) -> str:
    """Name the claims with a verdict in one sentence's worth of text."""
    chosen = [
        f"*{claim.text}* ({study.interval(claim).mean:+.2f} {claim.unit})"
        for claim in claims
        if judge(study.interval(claim), claim.margin) == verdict
    ]
    return "; ".join(chosen) or "none"


def lr_table(study: Study, records: Sequence[Record]) -> str:
    """Mean validation accuracy by method and learning rate; what the study takes is bold."""
    found = mean_accuracies(records)
    columns = sorted({rate for by_rate in found.values() for rate in by_rate})
    rows = []
    for name, by_rate in found.items():
        method = study.suite.methods[name]
        cells = {rate: f"{value:.1f}" for rate, value in by_rate.items()}
        if (taken := lr_of(method)) in cells:
            cells[taken] = f"**{cells[taken]}**"
        rows.append([method["title"], *(cells.get(rate, "-") for rate in columns)])
    return table(["validation accuracy, %", *(f"lr {rate:g}" for rate in columns)], rows)


def coverage(study: Study) -> str:
    """Say how many of the suite's runs there are, and of what how many are missing."""
    there = {(record["task"], record["method"], record["seed"]) for record in study.records}
    runs = study.suite.runs()
    missing = Counter(
        f"{study.suite.tasks[run.task]['title']} with seed {run.seed}"
        for run in runs
        if (run.task, run.method, run.seed) not in there
    )
    if not missing:
        return f"All {len(runs)} runs are in."
    parts = ", ".join(f"{number} of {what}" for what, number in missing.items())
    return f"{len(runs) - missing.total()} of {len(runs)} runs are in; missing: {parts}."


def commits(study: Study) -> str:
    """Name the commits that the records are of; ``-dirty``: with changes not committed."""
    found = Counter(record["versions"]["commit"] or "unknown" for record in study.records)
    parts = (hash_.partition("-") for hash_ in found)
    return ", ".join(f"commit `{hash_[:12]}{dash}{rest}`" for hash_, dash, rest in parts)
