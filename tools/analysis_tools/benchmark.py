"""What skipping tokens brings on the clock, against what it brings in FLOPs.

Models take turns in one process, on the same images. For each: the measured
activation rate, the gain over the dense ViT that its FLOPs allow (*ideal*), the
measured gain, the share of the ideal that it reached, and the gain that the clock
allows: skipping saves at most an MLP's time on fewer tokens. Weights are random;
the biases of the dispatchers are set so that the rate is the one asked for.

    python tools/analysis_tools/benchmark.py --quick
    python tools/analysis_tools/benchmark.py --batch-sizes 1 8 32 --frames 8
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
from dataclasses import asdict
from pathlib import Path

import torch
from benchmark_inference import DENSE, Row, time_inference
from benchmark_training import TrainingRow, time_training
from matplotlib.figure import Figure
from mmengine.registry import init_default_scope
from rich.console import Console

from mmdyt.engine.cli import positive_int, tool
from mmdyt.evaluation.timing import CLOCKS
from mmdyt.fileio import atomic_path

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="batch 1 and 8, few rounds: under 5 minutes, 2 cores",
    )
    parser.add_argument("--arch", default="base", help="arch of mmpretrain's VisionTransformer")
    parser.add_argument("--batch-sizes", type=positive_int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--pixels", type=positive_int, nargs="+", default=[224])
    parser.add_argument(
        "--frames", type=positive_int, default=1, help="frames a clip, each an image"
    )
    parser.add_argument("--rates", type=float, nargs="+", default=[0.3, 0.5, 0.7])
    parser.add_argument("--merge", type=int, default=8, help="tokens ToMe merges a layer")
    parser.add_argument("--training-batch", type=int, default=8, help="0: no training steps")
    parser.add_argument("--rounds", type=positive_int, default=20, help="timings of each model")
    parser.add_argument(
        "--budget", type=float, default=600, help="seconds a table may take; 3 rounds are run"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--dtype", choices=list(DTYPES), default="float32", help="autocast in training"
    )
    parser.add_argument(
        "--clock", choices=list(CLOCKS), default="wall", help="cpu: for machines that others use"
    )
    parser.add_argument("--threads", type=int, help="CPU threads; defaults to torch's choice")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/benchmark"))
    args = parser.parse_args()
    if any(not 0 < rate < 1 for rate in args.rates):
        parser.error(f"--rates must be inside (0, 1), got {args.rates}")
    if args.quick:
        args.batch_sizes, args.training_batch, args.budget = [1, 8], 2, 20
    args.dtype = DTYPES[args.dtype]
    return args


def machine(device: str) -> str:
    """Name the hardware and the software that the figures hold for."""
    if torch.device(device).type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        info = Path("/proc/cpuinfo")
        lines = info.read_text().splitlines() if info.exists() else []
        models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
        name = models[0] if models else platform.processor()
        name += f", {torch.get_num_threads()} threads"
    return f"{name}, torch {torch.__version__}"


def _cells(values: list) -> str:
    return "| " + " | ".join(str(value) for value in values) + " |"


def _optional(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def inference_table(rows: list[Row]) -> str:
    """Write one batch size as a Markdown table, medians with quartiles."""
    head = ["model", "rate", "GFLOPs", "ms", "ideal", "gain", "share of ideal"]
    head += ["clock limit", "peak MiB"]
    lines = [_cells(head), _cells(["---"] * len(head))]
    for row in rows:
        rate, peak = _optional(row.rate, ".3f"), _optional(row.peak_mib, ".0f")
        cells = [row.name, rate, f"{row.gflops:.2f}", row.seconds.times(1e3), f"{row.ideal:.3f}"]
        cells += [f"{row.gain:.3f}", f"{row.share:.1%}", _optional(row.clock, ".3f"), peak]
        lines.append(_cells(cells))
    return "\n".join(lines)


def training_table(rows: list[TrainingRow]) -> str:
    """Write the training steps as a Markdown table, medians with quartiles."""
    head = ["step", "rate", "s", "of AdaptFormer's", "saved for backward, MiB", "peak MiB"]
    lines = [_cells(head), _cells(["---"] * len(head))]
    for row in rows:
        rate, peak = _optional(row.rate, ".3f"), _optional(row.peak_mib, ".0f")
        cells = [row.name, rate, row.seconds, row.to_adaptformer, f"{row.saved_mib:.0f}", peak]
        lines.append(_cells(cells))
    return "\n".join(lines)


def draw_gains(tables: dict[str, list[Row]]) -> Figure:
    """Draw measured gains as bars with quartiles, beside the ideal ones."""
    figure = Figure(figsize=(5 * len(tables), 4), layout="constrained")
    for axes, (title, rows) in zip(
        figure.subplots(1, len(tables), squeeze=False)[0], tables.items()
    ):
        rows = [row for row in rows if row.name != DENSE]
        places = range(len(rows))
        middle = [row.gain.median for row in rows]
        spread = [
            [row.gain.median - row.gain.low for row in rows],
            [row.gain.high - row.gain.median for row in rows],
        ]
        axes.barh(places, middle, xerr=spread, color="#4477aa", label="measured, quartiles")
        ideal = [row.ideal for row in rows]
        axes.scatter(
            ideal, places, marker="|", s=250, color="#ee6677", label="FLOPs allow", zorder=3
        )
        axes.axvline(1, color="#222222", linewidth=0.8)
        axes.set(yticks=places, yticklabels=[row.name for row in rows], title=title)
        axes.set(xlabel="gain over the dense ViT")
        axes.invert_yaxis()
        axes.legend(loc="lower right")
    return figure


@tool
def main() -> None:
    """Time everything; write JSON, Markdown and a plot after every table."""
    args = parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    init_default_scope("mmpretrain")
    logging.disable(logging.INFO)  # init_weights tells of every parameter
    console = Console()
    where, dtype = machine(args.device), str(args.dtype).removeprefix("torch.")
    inference: dict[str, list[Row]] = {}
    training: dict[str, list[TrainingRow]] = {}
    report = f"ViT {args.arch} on {where}, {args.clock} time; medians with quartiles.\n"

    def publish(title: str, table: str) -> None:
        nonlocal report
        console.print(f"\n{title}\n{table}", soft_wrap=True, highlight=False, markup=False)
        report += f"\n### {title}\n\n{table}\n"
        result = dict(machine=where, inference=inference, training=training)
        with atomic_path(args.out / "benchmark.json") as path:
            path.write_text(json.dumps(result, default=asdict, indent=1))
        with atomic_path(args.out / "benchmark.md") as path:
            path.write_text(report)
        if inference:
            with atomic_path(args.out / "benchmark.png") as path:
                draw_gains(inference).savefig(path, dpi=120)

    for pixels in args.pixels:
        for batch in args.batch_sizes:
            clips = f" clips of {args.frames} frames" if args.frames > 1 else ""
            title = f"batch {batch}{clips}, {pixels} px, {dtype}"
            inference[title] = time_inference(args, batch * args.frames, pixels)
            publish(f"Inference, {title}", inference_table(inference[title]))
        if args.training_batch:
            title = f"batch {args.training_batch}, {pixels} px, float32"
            training[title] = time_training(args, args.training_batch, pixels)
            publish(f"Training step, {title}", training_table(training[title]))
    console.print(f"Written to {args.out}/benchmark.json, .md, .png")


if __name__ == "__main__":
    main()
