"""Time exported models in the runtimes that people deploy: torch, onnxruntime, OpenVINO.

Dense ViT, AdaptFormer, AdaptFormer with merged tokens (ToMe), and DyT at one rate with a
threshold (dynamic shapes) and with equal numbers of tokens in all images (static
shapes) take turns in one process on the same images and weights. Gains are over each
runtime's own dense model. Beside the gain that the FLOPs allow (ideal) stands the one
that the clock allows: the dense model's time less the measured time of its MLPs on the
skipped tokens. Every runtime's logits are held to torch's.

    python tools/analysis_tools/benchmark_deployment.py --quick
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from benchmark import machine
from benchmark_inference import DENSE, cost_and_rate
from clock_limit import Mlps, mlp_tokens
from deployment_models import build_models
from deployment_timing import RUNTIMES, Form, Row, forms_of, time_batch
from mmengine.registry import init_default_scope
from rich.box import MARKDOWN
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

from mmdyt.engine.cli import positive_int, require_writable, tool
from mmdyt.engine.deployment import Logits, clear_decisions, verify
from mmdyt.fileio import atomic_path

FILE = "benchmark_deployment.json"


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="ViT-S/16, few rounds: under 5 minutes, 2 cores"
    )
    parser.add_argument("--arch", default="base", help="arch of mmpretrain's VisionTransformer")
    parser.add_argument("--pixels", type=positive_int, default=224)
    parser.add_argument("--batch-sizes", type=positive_int, nargs="+", default=[1, 8])
    parser.add_argument("--rate", type=float, default=0.5, help="share of active tokens")
    parser.add_argument("--merge", type=int, default=8, help="tokens ToMe merges a layer")
    parser.add_argument("--runtimes", nargs="+", choices=RUNTIMES, default=list(RUNTIMES))
    parser.add_argument("--rounds", type=positive_int, default=20, help="timings of each model")
    parser.add_argument(
        "--seconds", type=float, default=600, help="that a table may take; 3 rounds are run"
    )
    parser.add_argument("--threads", type=positive_int, help="defaults to torch's choice")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/benchmark_deployment"))
    args = parser.parse_args()
    if not 0 < args.rate < 1:
        parser.error(f"--rate must be inside (0, 1), got {args.rate}")
    if args.quick:
        args.arch, args.rounds, args.seconds = "deit-small", 10, 15
    return args


def prepare(
    models: dict[str, nn.Module], images: Tensor, tokens: Tensor, args: argparse.Namespace
) -> tuple[dict[str, dict[str, Form]], dict[str, Form]]:
    """Export all models, and the dense one's MLPs on ``tokens``, and show the progress."""
    named = {name: (Logits(model), images[:2]) for name, model in models.items()}
    named["MLPs"] = (Mlps(models[DENSE].get_submodule("backbone")), tokens)
    forms = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (module, example) in track(named.items(), "exporting", transient=True):
            forms[name] = forms_of(module, example, name, args, Path(folder))
    mlps = forms.pop("MLPs")
    return forms, mlps


def table_of(title: str, rows: list[Row]) -> Table:
    """Make the table of one batch size, which prints as Markdown."""
    table = Table(title=title, box=MARKDOWN)
    heads = ("runtime", "model", "GFLOPs", "ms", "gain over its dense", "ideal", "share of ideal")
    for head in (*heads, "clock limit", "share of it", "held MiB", "peak MiB"):
        table.add_column(head, justify="left" if head in ("runtime", "model") else "right")
    for row in rows:
        clock = row.clock
        table.add_row(
            row.runtime,
            row.model,
            f"{row.gflops:.2f}",
            str(row.seconds.times(1e3)),
            f"{row.gain:.3f}",
            f"{row.ideal:.3f}",
            f"{row.gain.median / row.ideal:.1%}",
            "-" if clock is None else f"{clock:.3f}",
            "-" if clock is None else f"{row.gain.median / clock:.1%}",
            "-" if row.held_mib is None else f"{row.held_mib:.0f}",
            "-" if row.peak_mib is None else f"{row.peak_mib:.0f}",
        )
    return table


@tool
@torch.no_grad()
def main() -> None:
    """Export, verify, time, write."""
    args = parse_args()
    try:
        import onnxruntime  # noqa: F401
        import openvino  # noqa: F401
    except ImportError as error:
        raise SystemExit(f"{error}: pip install -r requirements/deploy.txt") from None
    require_writable(args.out / FILE, "--out")
    if args.threads:
        torch.set_num_threads(args.threads)
    init_default_scope("mmpretrain")
    logging.disable(logging.INFO)
    torch.manual_seed(0)
    console = Console(width=250)
    largest = max(*args.batch_sizes, 2)
    images = torch.randn(largest, 3, args.pixels, args.pixels)
    models = build_models(args, images)
    flops = {name: cost_and_rate(model, images)[0] for name, model in models.items()}
    clear = {name: clear_decisions(model, images) for name, model in models.items()}
    tokens = mlp_tokens(models[DENSE].get_submodule("backbone"), largest, args.rate)
    forms, mlps = prepare(models, images, tokens[0], args)
    for model, by_runtime in forms.items():
        calls = {name: form.call for name, form in by_runtime.items()}
        verify(dict(before=Logits(models[model])) | calls, images, clear[model])
        counted = f"{int(clear[model].sum())} of {len(images)} images without ties"
        console.print(f"{model}: equal logits in {', '.join(calls)} ({counted})")
    result: dict[str, Any] = dict(machine=machine("cpu"), arch=args.arch, rate=args.rate)
    for batch in args.batch_sizes:
        rows_of = tuple(part[: batch * len(part) // largest] for part in tokens)
        rows = time_batch(forms, mlps, images[:batch], (rows_of[0], rows_of[1]), flops, args)
        result[f"batch {batch}"] = rows
        title = f"ViT {args.arch}, batch {batch}, rate {args.rate}, {result['machine']}"
        console.print(table_of(title, rows))
        with atomic_path(args.out / FILE) as path:
            path.write_text(json.dumps(result, default=asdict, indent=1))
    console.print(f"Written to {args.out / FILE}")


if __name__ == "__main__":
    main()
