"""Our counts beside the paper's: ViT, Swin, video and segmentation, dense and dynamic."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
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


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        name: Its name.
        config: A model dict, or a config file and what to override in it.
        paper_gflops: The paper's figure; ``None`` where it gives none.
        paper_params_m: The paper's added parameters, in millions.
        rate: Activation rate; ``None`` for the complete model.
    """

    name: str
    config: dict | tuple[str, dict]
    paper_gflops: float | None = None
    paper_params_m: float | None = None
    rate: float | None = None


def adapter(dims: int) -> dict:
    """Config of a bottleneck adapter."""
    return dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=dims)


def moe(num_experts: int) -> dict:
    """Config of a MoE-adapter with bottlenecks of 64."""
    return dict(type="mmdyt.MoEAdapter", bottleneck_dims=64, num_experts=num_experts)


VIDEO = "configs/video/kinetics400/dyt_vit-b16_8xb16-12e_kinetics400.py"


def vit(arch: str, dispatch: str | None, adapter: dict | None) -> dict:
    """Config of a ViT with patch 16 at 224 px."""
    return dict(type="mmdyt.DyTViT", arch=arch, dispatch=dispatch, adapter=adapter)


def swin(dispatch: str | None, adapter: dict | None) -> dict:
    """Config of Swin-B at 224 px."""
    return dict(
        type="mmdyt.DyTSwinTransformer",
        arch="base",
        img_size=224,
        dispatch=dispatch,
        adapter=adapter,
    )


def video(dispatch: str | None, adapter: dict | None) -> tuple[str, dict]:
    """ViT-B/16 on 8 frames, as on Kinetics-400."""
    backbone = dict(dispatch=dispatch, adapter=adapter)
    return "configs/video/kinetics400/dyt_vit-b16_8xb16-12e_kinetics400.py", dict(
        model=dict(backbone=backbone)
    )


def upernet(dispatch: str | None, adapter: dict | None) -> dict:
    """ViT-B/16 with UPerNet at 512 px, as on ADE20K."""
    backbone = vit("base", dispatch, adapter)
    backbone |= dict(img_size=512, out_type="featmap", out_indices=[3, 5, 7, 11])
    return dict(
        type="mmseg.EncoderDecoder",
        backbone=backbone,
        neck=dict(type="mmseg.Feature2Pyramid", embed_dim=768, rescales=[4, 2, 1, 0.5]),
        decode_head=dict(
            type="mmseg.UPerHead",
            in_channels=[768] * 4,
            in_index=[0, 1, 2, 3],
            pool_scales=(1, 2, 3, 6),
            channels=768,
            num_classes=150,
            norm_cfg=dict(type="BN"),
            align_corners=False,
            loss_decode=dict(type="mmseg.CrossEntropyLoss", avg_non_ignore=True),
        ),
        test_cfg=dict(mode="whole"),
    )


# Rows of one config stand together: they share a model.
ROWS = [
    Row("vit-b", vit("base", None, None), 17.58, 0),
    Row("adaptformer-d8", vit("base", None, adapter(8)), 17.61, 0.16),
    Row("adaptformer-d64", vit("base", None, adapter(64)), 17.81, 1.19),
    Row("dyt-mlp", vit("base", "mlp", adapter(64)), 12.21, 1.19, rate=0.5),
    Row("dyt-attn", vit("base", "attn", adapter(64)), None, 1.19, rate=0.5),
    Row("dyt-attn_mlp", vit("base", "attn_mlp", adapter(64)), None, 2.38, rate=0.7),
    Row("dyt-layer", vit("base", "layer", adapter(64)), None, 1.19, rate=0.7),
    Row("dyt-d8-r0.5", vit("base", "mlp", adapter(8)), 12.54, 0.16, rate=0.5),
    Row("dyt-d8-r0.7", vit("base", "mlp", adapter(8)), 14.92, 0.16, rate=0.7),
    Row("dyt-d8-r0.9", vit("base", "mlp", adapter(8)), 17.07, 0.16, rate=0.9),
    *(
        Row(f"dyt-moe{experts}", vit("base", "mlp", moe(experts)), None, 1.2 * experts, rate=0.5)
        for experts in (2, 4, 8, 12)
    ),
    Row("vit-l", vit("large", None, None), 61.60, 0),
    Row("dyt-vit-l", vit("large", "mlp", adapter(64)), 43.79, 3.17, rate=0.5),
    Row("swin-b", swin(None, None), 15.40, 0),
    Row("dyt-swin-b", swin("mlp", adapter(64)), 13.25, 1.55, rate=0.5),
    Row("video-dense", video(None, None), 142.53),
    Row("video-adaptformer", video(None, adapter(64)), 144.39),
    Row("video-dyt", video("mlp", adapter(64)), 108.31, rate=0.5),
    Row("upernet-dense", upernet(None, None), 605.36),
    Row("upernet-adaptformer", upernet(None, adapter(64)), 606.57),
    Row("upernet-dyt", upernet("mlp", adapter(64)), 584.57, rate=0.5),
]


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
