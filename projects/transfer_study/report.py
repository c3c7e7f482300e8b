"""Render results.md and its figures from the committed records, in seconds.

``python -m projects.transfer_study.collect`` makes the records; the page's text
is in ``page.txt``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from string import Template

import numpy as np
from matplotlib.figure import Figure

from mmdyt.engine.suite import Suite
from mmdyt.fileio import atomic_path, load_from_safetensors
from mmdyt.visualization.suite_figures import draw_accuracy_cost, draw_rates_by_layer
from projects.study.intervals import judge
from projects.study.pictures import draw_masks
from projects.study.records import read_records
from projects.study.study import Record, Study, rates, saved_mflops
from projects.study.tables import (
    claims_table,
    commits,
    coverage,
    lr_table,
    results_table,
    verdict_list,
)
from projects.transfer_study.claims import CLAIMS
from projects.transfer_study.collect import FOLDER, HERE, RECORDS
from projects.transfer_study.figures import draw_samples

SUITE = HERE / "configs/suites/transfer_study.py"
TEXT, PAGE = HERE / "page.txt", HERE / "results.md"
PRETRAINED = HERE / "assets/vit-nano-p7_fashion-mnist-28px.safetensors"


def render_page(study: Study, lr_records: Sequence[Record]) -> str:
    """Fill the page's text with what the records say."""
    first = study.records[0]
    pretrained = load_from_safetensors(str(PRETRAINED))["meta"]
    verdicts = Counter(judge(study.interval(claim), claim.margin) for claim in CLAIMS)
    return Template(TEXT.read_text()).substitute(
        coverage=coverage(study),
        results=results_table(study),
        claims=claims_table(study, CLAIMS),
        agrees=verdict_list(study, CLAIMS, "agrees"),
        disagrees=verdict_list(study, CLAIMS, "does not agree"),
        undecided=verdict_list(study, CLAIMS, "undecided"),
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
            pictures[name.replace("_masks", "_images")][:4, ..., None].repeat(3, -1), masks[:, :4]
        )
        for name, masks in pictures.items()
        if name.endswith("_masks")
    }


def main() -> None:
    """Write the page and the figures."""
    records = read_records(RECORDS)
    study = Study(Suite.fromfile(SUITE), records["study"])
    for name, figure in draw(study).items():
        with atomic_path(FOLDER / name) as path:
            figure.savefig(path, dpi=110, metadata={"Software": None})
    with atomic_path(PAGE) as path:
        path.write_text(render_page(study, records["lr"]))
    print(f"{PAGE} and the figures in {FOLDER} are written")


if __name__ == "__main__":
    main()
