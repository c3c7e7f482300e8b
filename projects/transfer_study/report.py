"""Render results.md and its figures from the committed records, in seconds.

``python -m projects.transfer_study.collect`` makes the records; the page's text
is in ``page.txt``.
"""

from __future__ import annotations

import gzip
import json
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from string import Template

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mmdyt.engine.suite import Suite
from mmdyt.fileio import atomic_path, load_from_safetensors
from mmdyt.structures import DispatchRecord
from mmdyt.visualization import draw_token_maps
from mmdyt.visualization.suite_figures import draw_accuracy_cost, draw_rates_by_layer
from projects.transfer_study.claims import (
    CLAIMS,
    Record,
    Study,
    accuracy,
    activation_rate,
    lr_of,
    rates,
    saved_mflops,
)
from projects.transfer_study.figures import draw_samples
from projects.transfer_study.intervals import judge

HERE = Path("projects/transfer_study")
SUITE = HERE / "configs/suites/transfer_study.py"
TEXT, PAGE = HERE / "page.txt", HERE / "results.md"
FOLDER = HERE / "results"
PRETRAINED = HERE / "assets/vit-nano-p7_fashion-mnist-28px.safetensors"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a Markdown table; the first column is text, the others are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def results_table(study: Study) -> str:
    """One row per method: accuracy on every task, group mean, parameters, cost, rate."""
    titles = [task["title"] for task in study.suite.tasks.values()]
    rows = []
    for name, method in study.suite.methods.items():
        cells = []
        values = study.by_task(name)
        for task in study.suite.tasks:
            seeds = values.get(task, [])
            spread = f" ± {statistics.stdev(seeds):.1f}" if len(seeds) > 1 else ""
            cells.append(f"{statistics.mean(seeds):.1f}{spread}" if seeds else "-")
        first = next(r for r in study.records if r["method"] == name)
        dispatched = "dispatch/activation_rate" in first["metrics"]
        rows.append(
            [
                method["title"],
                *cells,
                f"**{study.mean(name):.2f}**",
                f"{first['params']['trainable'] / 1e3:.1f}",
                f"{-study.mean(name, saved_mflops):.2f}",
                f"{study.mean(name, activation_rate):.2f}" if dispatched else "-",
            ]
        )
    return table(["method", *titles, "mean", "trained, K", "MFLOPs", "rate"], rows)


def claims_table(study: Study) -> str:
    """One row per claim: difference, interval, verdict."""
    rows = []
    for claim in CLAIMS:
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


def verdict_list(study: Study, verdict: str) -> str:
    """Name the claims with a verdict in one sentence's worth of text."""
    chosen = [
        f"*{claim.text}* ({study.interval(claim).mean:+.2f} {claim.unit})"
        for claim in CLAIMS
        if judge(study.interval(claim), claim.margin) == verdict
    ]
    return "; ".join(chosen) or "none"


def lr_table(study: Study, records: Sequence[Record]) -> str:
    """Validation accuracy by method and learning rate; the rate the study takes is bold."""
    found: dict[str, dict[float, float]] = defaultdict(dict)
    for record in records:
        found[record["method"].rpartition("-lr")[0]][lr_of(record)] = accuracy(record)
    columns = sorted({rate for by_rate in found.values() for rate in by_rate})
    rows = []
    for name, by_rate in found.items():
        method = study.suite.methods[name]
        cells = {rate: f"{value:.1f}" for rate, value in by_rate.items()}
        taken = lr_of(method)
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
    found = Counter(record["versions"]["commit"] for record in study.records)
    parts = (hash_.partition("-") for hash_ in found)
    return ", ".join(f"commit `{hash_[:12]}{dash}{rest}`" for hash_, dash, rest in parts)


def render_page(study: Study, lr_records: Sequence[Record]) -> str:
    """Fill the page's text with what the records say."""
    first = study.records[0]
    pretrained = load_from_safetensors(str(PRETRAINED))["meta"]
    verdicts = Counter(judge(study.interval(claim), claim.margin) for claim in CLAIMS)
    return Template(TEXT.read_text()).substitute(
        coverage=coverage(study),
        results=results_table(study),
        claims=claims_table(study),
        agrees=verdict_list(study, "agrees"),
        disagrees=verdict_list(study, "does not agree"),
        undecided=verdict_list(study, "undecided"),
        learning_rates=lr_table(study, lr_records),
        num_claims=len(CLAIMS),
        num_agrees=verdicts["agrees"],
        num_disagrees=verdicts["does not agree"],
        num_undecided=verdicts["undecided"],
        pretrain_epochs=pretrained["epoch"],
        pretrain_accuracy=f"{pretrained['metrics']['accuracy/top1']:.1f}",
        hours=f"{sum(record['seconds'] for record in study.records) / 3600:.1f}",
        cpu=first["host"]["cpu"],
        torch=first["versions"]["torch"],
        commits=commits(study),
    )


def kind_of(method: str) -> str:
    """Group of a method in the legend."""
    if not method.startswith("dyt"):
        return "without dispatch"
    if method in ("dyt-attn", "dyt-attn_mlp", "dyt-layer"):
        return "DyT, other variants"
    if method in ("dyt-no-distill", "dyt-dynamic-only", "dyt-random"):
        return "DyT, ablations"
    return "DyT"


def draw(study: Study) -> dict[str, Figure]:
    """Draw all figures by their file names."""
    methods, tasks = study.suite.methods, study.suite.tasks
    title = {name: method["title"] for name, method in methods.items()}
    by_rate = {title[name]: name for name in ("dyt-r0.9", "dyt-r0.7", "dyt", "dyt-r0.3")}
    with np.load(FOLDER / "pictures.npz") as arrays:
        pictures = dict(arrays)
    samples = {task["title"]: pictures[f"{name}_images"] for name, task in tasks.items()}
    labels = {
        task["title"]: [str(label) for label in pictures[f"{name}_labels"]]
        for name, task in tasks.items()
    }
    return {
        "samples.png": draw_samples(samples, labels),
        "accuracy_cost.png": draw_accuracy_cost(
            {title[name]: (-study.mean(name, saved_mflops), study.mean(name)) for name in methods},
            {title[name]: kind_of(name) for name in methods},
            -study.mean("linear", saved_mflops),
            unit="MFLOPs",
        ),
        "rates.png": draw_rates_by_layer(
            {
                label: [rates(record) for record in study.records if record["method"] == name]
                for label, name in by_rate.items()
            },
            {
                label: methods[name]["cfg_options"].get("model.dyt.target_rate", 0.5)
                for label, name in by_rate.items()
            },
        ),
    } | {
        f"token_maps_{name.removesuffix('_masks')}.png": draw_masks(
            pictures[name.replace("_masks", "_images")][:4], masks[:, :4]
        )
        for name, masks in pictures.items()
        if name.endswith("_masks")
    }


def draw_masks(images: NDArray, masks: NDArray) -> Figure:
    """Draw which patches were active: masks ``(L, B, N)`` over images ``(B, H, W)``."""
    records = [
        DispatchRecord(layer, "mlp", torch.from_numpy(mask), None)
        for layer, mask in enumerate(masks)
    ]
    side = math.isqrt(masks.shape[-1])
    return draw_token_maps(images[..., None].repeat(3, axis=-1), records, grid=(side, side))


def main() -> None:
    """Write the page and the figures."""
    records = json.loads(gzip.decompress((FOLDER / "records.json.gz").read_bytes()))
    study = Study(Suite.fromfile(SUITE), records["study"])
    for name, figure in draw(study).items():
        with atomic_path(FOLDER / name) as path:
            figure.savefig(path, dpi=110, metadata={"Software": None})
    with atomic_path(PAGE) as path:
        path.write_text(render_page(study, records["lr"]))
    print(f"{PAGE} and the figures in {FOLDER} are written")


if __name__ == "__main__":
    main()
