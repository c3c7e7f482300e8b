"""Render docs/transfer_study.md and its figures from the committed records, in seconds.

``tools/study_collect.py`` makes the records; the page's text is in
``docs/transfer_study/page.txt``.
"""

from __future__ import annotations

import gzip
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mmdyt.engine.suite import Suite
from mmdyt.evaluation.claims import Interval, judge, paired_differences, task_interval
from mmdyt.fileio import atomic_path
from mmdyt.structures import DispatchRecord
from mmdyt.visualization import draw_token_maps
from mmdyt.visualization.study_figures import draw_accuracy_cost, draw_rates_by_layer, draw_samples

SUITE = Path("configs/suites/transfer_study.py")
PAGE = Path("docs/transfer_study.md")
FOLDER = Path("docs/transfer_study")
Record = dict
Value = Callable[[Record], float]


def accuracy(record: Record) -> float:
    """Test accuracy in %."""
    return record["metrics"]["accuracy/top1"]


def lr_of(record: Record) -> float:
    """Learning rate."""
    return record["cfg_options"]["optim_wrapper.optimizer.lr"]


def saved_mflops(record: Record) -> float:
    """Minus the measured cost in millions of multiply-adds: more is better."""
    return -1e3 * record["metrics"]["dispatch/gflops"]


def activation_rate(record: Record) -> float:
    """Share of active tokens over all dispatchers."""
    return record["metrics"]["dispatch/activation_rate"]


def rates(record: Record) -> list[float]:
    """Activation rates of all dispatchers in the order of the layers."""
    metrics = record["metrics"]
    return [metrics[name] for name in sorted(metrics) if name.startswith("dispatch/rate_")]


def front_minus_back(record: Record) -> float:
    """Mean activation rate of the first half of the layers less that of the second, in points."""
    found = rates(record)
    half = len(found) // 2
    return 100 * (statistics.mean(found[:half]) - statistics.mean(found[-half:]))


@dataclass(frozen=True)
class Claim:
    """A claim of the paper as a difference that should be positive.

    Args:
        text: The claim.
        left: Name of a method.
        right: Name of the method it is compared with; ``None`` if the value
            itself is the difference.
        value: What is compared. Defaults to the accuracy.
        unit: Of the value. Defaults to accuracy points.
        margin: See :func:`mmdyt.evaluation.claims.judge`. Defaults to 0.0.
    """

    text: str
    left: str
    right: str | None
    value: Value = accuracy
    unit: str = "points"
    margin: float = 0.0


CLAIMS = [
    Claim("DyT costs less than AdaptFormer", "dyt", "adaptformer", saved_mflops, "MFLOPs"),
    Claim("DyT is as accurate (1 point of margin)", "dyt", "adaptformer", margin=1.0),
    Claim("DyT is more accurate than AdaptFormer", "dyt", "adaptformer"),
    Claim("DyT is more accurate than full tuning", "dyt", "full"),
    Claim("MLP dispatch is better than attention dispatch", "dyt", "dyt-attn"),
    Claim("MLP dispatch is better than both (r = 0.7)", "dyt", "dyt-attn_mlp"),
    Claim("MLP dispatch is better than layer dispatch (r = 0.7)", "dyt", "dyt-layer"),
    Claim("Learned dispatch is better than random dispatch", "dyt", "dyt-random"),
    Claim("Distillation helps", "dyt", "dyt-no-distill"),
    Claim("The complete model's loss helps", "dyt-no-distill", "dyt-dynamic-only"),
    Claim("Activation rates fall with depth", "dyt", None, front_minus_back, "points of rate"),
    Claim("A MoE-adapter of 2 experts helps", "dyt-moe2", "dyt"),
    Claim("A MoE-adapter of 4 experts helps", "dyt-moe4", "dyt"),
    Claim("r = 0.7 is better than r = 0.5", "dyt-r0.7", "dyt"),
]


@dataclass(frozen=True)
class Study:
    """The records of the study with the suite that they belong to.

    Args:
        suite: Tasks, methods and seeds.
        records: Those of finished runs.
    """

    suite: Suite
    records: Sequence[Record]

    def by_run(self, method: str, value: Value = accuracy) -> dict[tuple[str, int], float]:
        """Value of every run of a method by task and seed."""
        return {
            (record["task"], record["seed"]): value(record)
            for record in self.records
            if record["method"] == method
        }

    def by_task(self, method: str, value: Value = accuracy) -> dict[str, list[float]]:
        """Values of a method's seeds by task, in the order of the suite."""
        found: dict[str, list[float]] = {task: [] for task in self.suite.tasks}
        for (task, _), each in self.by_run(method, value).items():
            found[task].append(each)
        return {task: values for task, values in found.items() if values}

    def mean(self, method: str, value: Value = accuracy) -> float:
        """Mean of the groups' means, as VTAB-1K's."""
        groups = defaultdict(list)
        for task, values in self.by_task(method, value).items():
            groups[self.suite.tasks[task]["group"]].append(statistics.mean(values))
        return statistics.mean(statistics.mean(each) for each in groups.values())

    def interval(self, claim: Claim) -> Interval:
        """Interval of a claim's difference."""
        left = self.by_run(claim.left, claim.value)
        none = dict.fromkeys(left, 0.0)
        right = self.by_run(claim.right, claim.value) if claim.right else none
        return task_interval(paired_differences(left, right))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a Markdown table; the first column is text, the others are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def results_table(study: Study) -> str:
    """One row a method: accuracy on every task, group mean, parameters, cost, rate."""
    titles = [task["title"] for task in study.suite.tasks.values()]
    rows = []
    for name, method in study.suite.methods.items():
        cells = []
        values = study.by_task(name)
        for task in study.suite.tasks:
            seeds = values.get(task, [])
            spread = f" ± {statistics.stdev(seeds):.1f}" if len(seeds) > 1 else ""
            cells.append(f"{statistics.mean(seeds):.1f}{spread}" if seeds else "–")
        first = next(r for r in study.records if r["method"] == name)
        dispatched = "dispatch/activation_rate" in first["metrics"]
        rows.append(
            [
                method["title"],
                *cells,
                f"**{study.mean(name):.2f}**",
                f"{first['params']['trainable'] / 1e3:.1f}",
                f"{-study.mean(name, saved_mflops):.2f}",
                f"{study.mean(name, activation_rate):.2f}" if dispatched else "–",
            ]
        )
    return table(["method", *titles, "mean", "trained, K", "MFLOPs", "rate"], rows)


def claims_table(study: Study) -> str:
    """One row a claim: difference, interval, verdict."""
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
            ]
        )
    return table(["claim", "difference", "95 % interval", "pairs", "our data"], rows)


def verdict_list(study: Study, verdict: str) -> str:
    """Name the claims with a verdict in one sentence's worth of text."""
    chosen = [
        f"*{claim.text}* ({study.interval(claim).mean:+.2f} {claim.unit})"
        for claim in CLAIMS
        if judge(study.interval(claim), claim.margin) == verdict
    ]
    return "; ".join(chosen) or "none"


def lr_table(records: Sequence[Record]) -> str:
    """Validation accuracy by method and learning rate; the best of a method is bold."""
    found: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        method = record["method"].rpartition("-lr")[0]
        found[method][lr_of(record)].append(accuracy(record))
    columns = sorted({rate for each in found.values() for rate in each})
    rows = []
    for method, by_rate in found.items():
        means = {rate: statistics.mean(values) for rate, values in by_rate.items()}
        best = max(means, key=means.__getitem__)
        cells = [f"{means[rate]:.1f}" if rate in means else "–" for rate in columns]
        cells[columns.index(best)] = f"**{cells[columns.index(best)]}**"
        rows.append([method, *cells])
    return table(["validation accuracy, %", *(f"lr {rate:g}" for rate in columns)], rows)


def coverage(study: Study) -> str:
    """Say how many of the suite's runs there are, and which are missing."""
    missing = sorted(
        {run.name for run in study.suite.runs()}
        - {f"{r['task']}/{r['method']}/seed{r['seed']}" for r in study.records}
    )
    total = len(study.records) + len(missing)
    if not missing:
        return f"All {total} runs are in."
    return f"{len(study.records)} of {total} runs are in; missing are {', '.join(missing)}."


def render_page(study: Study, lr_records: Sequence[Record]) -> str:
    """Fill the page's text with what the records say."""
    first = study.records[0]
    return Template((FOLDER / "page.txt").read_text()).substitute(
        coverage=coverage(study),
        results=results_table(study),
        claims=claims_table(study),
        agrees=verdict_list(study, "agrees"),
        disagrees=verdict_list(study, "does not agree"),
        undecided=verdict_list(study, "undecided"),
        learning_rates=lr_table(lr_records),
        num_claims=len(CLAIMS),
        hours=f"{sum(record['seconds'] for record in study.records) / 3600:.1f}",
        cpu=first["host"]["cpu"],
        torch=first["versions"]["torch"],
        commit=first["versions"]["commit"][:12],
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
