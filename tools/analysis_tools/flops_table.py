"""Our counts beside the paper's: ViT, Swin, video and segmentation, dense and dynamic."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from paper_models import ROWS, Row
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from mmdyt.engine.cli import tool
from mmdyt.evaluation import CostAccount, build_uninitialised, count_parameters, sample_shape
from mmdyt.registry import MODELS

REPOSITORY = Path(__file__).resolve().parents[2]
TOLERANCE_PERCENT = 0.5
NOTES = """\
A multiply-add counts once; one image, clip or crop. Rows without a rate run every token.
Ours at a rate has exactly that share of the non-prefix tokens active in every dispatched branch and
includes the dispatchers. The paper's is of a trained model whose measured rate was not published;
"rate of paper's" is the rate at which ours would give the same figure.
Parameters added are adapters, with the routers of MoE-adapters; dispatchers (C + 1 a dispatcher)
are left out, as the paper's 1.19 M = 12 x (2 * 64 * 768 + 64 + 768) leaves them out."""


def is_available(row: Row) -> bool:
    """Whether this installation has the row's config file or types."""
    if isinstance(row.config, tuple):
        return (REPOSITORY / row.config[0]).exists()
    backbone = row.config.get("backbone", row.config)
    parts = [part for part in (backbone, backbone["adapter"]) if part is not None]
    return all(MODELS.get(part["type"]) is not None for part in parts)


def load_config(row: Row) -> Config:
    """The row's config, with ``model``."""
    if isinstance(row.config, tuple):
        path, overrides = row.config
        cfg = Config.fromfile(REPOSITORY / path)
        cfg.merge_from_dict(overrides)
        return cfg
    return Config(dict(model=row.config))


def count(rows: list[Row], progress: Progress) -> Iterator[dict[str, Any]]:
    """Count rows one after another.

    Args:
        rows: Rows whose parts are installed.
        progress: Bar that shows which one is being counted.

    Yields:
        The row's figures, as ``--json`` prints them.
    """
    task = progress.add_task("", total=len(rows))
    for _, group in groupby(rows, key=lambda row: row.config):
        same_model = list(group)
        progress.update(task, description=same_model[0].name)
        cfg = load_config(same_model[0])
        model = build_uninitialised(cfg)
        inputs = torch.zeros(1, *sample_shape(cfg))
        account, parameters = CostAccount(model), count_parameters(model)
        for row in same_model:
            if row.rate is None:
                flops = account.dense_flops(inputs)
            else:
                flops = account.flops_at_rate(inputs, row.rate)
            yield dict(
                name=row.name,
                gflops=round(flops / 1e9, 4),
                paper_gflops=row.paper_gflops,
                difference_percent=difference_percent(flops / 1e9, row.paper_gflops),
                rate=row.rate,
                rate_of_paper_gflops=rate_of_paper(row, account, inputs),
                params_added_m=round(parameters.adapters / 1e6, 4),
                paper_params_added_m=row.paper_params_m,
                dispatcher_params_m=round(parameters.dispatchers / 1e6, 4),
            )
            progress.advance(task)


def rate_of_paper(row: Row, account: CostAccount, inputs: torch.Tensor) -> float | None:
    """Rate at which ours gives the paper's figure; MLP dispatch is linear in it."""
    if row.rate is None or row.paper_gflops is None:
        return None
    nothing, everything = (account.flops_at_rate(inputs, rate) / 1e9 for rate in (0.0, 1.0))
    return round((row.paper_gflops - nothing) / (everything - nothing), 3)


def difference_percent(ours: float, paper: float | None) -> float | None:
    """How much larger ours is, in percent of the paper's."""
    return None if paper is None else round(100 * (ours / paper - 1), 3)


def print_table(figures: list[dict[str, Any]]) -> None:
    """Print all figures, and below what to know about them."""
    columns = {
        "name": ("model", "{}"),
        "rate": ("rate", "{:g}"),
        "gflops": ("GFLOPs", "{:.2f}"),
        "paper_gflops": ("paper", "{:.2f}"),
        "difference_percent": ("difference %", "{:+.2f}"),
        "rate_of_paper_gflops": ("rate of paper's", "{:.3f}"),
        "params_added_m": ("params added, M", "{:.2f}"),
        "paper_params_added_m": ("paper", "{:.2f}"),
    }
    table = Table()
    for key, (heading, _) in columns.items():
        table.add_column(heading, justify="left" if key == "name" else "right")
    for row in figures:
        shown = ((row[key], form) for key, (_, form) in columns.items())
        table.add_row(*("" if value is None else form.format(value) for value, form in shown))
    console = Console()
    console.print(table)
    console.print(NOTES, highlight=False, soft_wrap=True)
    static = [row for row in figures if row["rate"] is None]
    off = [row["name"] for row in static if abs(row["difference_percent"]) > TOLERANCE_PERCENT]
    console.print(
        f"Rows without a rate that differ by more than {TOLERANCE_PERCENT} %: "
        f"{', '.join(off) or 'none'}."
    )
    missing = [row.name for row in ROWS if not is_available(row)]
    if missing:
        console.print(f"Not installed here: {', '.join(missing)}.", highlight=False)


@tool
def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print a JSON list of rows")
    args = parser.parse_args()
    console = Console(stderr=True)
    # Libraries that print while they build must not spoil the JSON.
    with contextlib.redirect_stdout(sys.stderr), Progress(console=console) as progress:
        figures = list(count([row for row in ROWS if is_available(row)], progress))
    if args.json:
        print(json.dumps(figures, indent=2))
    else:
        print_table(figures)


if __name__ == "__main__":
    main()
