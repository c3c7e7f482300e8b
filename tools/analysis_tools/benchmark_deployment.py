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
import copy
import json
import logging
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmark import machine
from benchmark_inference import calibrate
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

from mmdyt.engine.cli import positive_int, tool
from mmdyt.engine.deployment import (
    Function,
    Logits,
    clear_decisions,
    run_onnxruntime,
    run_openvino,
    trace,
    verify,
    write_onnx,
)
from mmdyt.evaluation import CostAccount
from mmdyt.evaluation.timing import Spread, held_memory, peak_memory, time_alternately
from mmdyt.fileio import atomic_path
from mmdyt.models.utils import collect_dispatch, dispatched_layers, pack_linears, set_capacity

DENSE, DYNAMIC, CAPACITY = "dense", "DyT, threshold", "DyT, capacity"
RUNTIMES = ("torch", "torch, packed", "onnxruntime", "OpenVINO")


class Mlps(nn.Module):
    """The MLPs of a ViT, one after the other, on tokens ``(rows, C)``."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.layers: Any = backbone.layers

    def forward(self, tokens: Tensor) -> Tensor:
        """Run them."""
        for layer in self.layers:
            tokens = layer.ffn(layer.ln2(tokens))
        return tokens


@dataclass
class Row:
    """One model in one runtime.

    Args:
        runtime: One of :data:`RUNTIMES`.
        model: The model.
        gflops: Of an image.
        seconds: Time of the batch.
        ideal: Gain over the dense model that the FLOPs allow.
        clock: Gain that the clock allows, ``None`` without dispatch.
        gain: Measured gain over the runtime's dense model, round by round.
        held_mib: Memory that the opened model holds after a batch of two.
        peak_mib: Memory at the peak of a call beyond what is there before it; runtimes
            that keep their working memory have none.
    """

    runtime: str
    model: str
    gflops: float
    seconds: Spread
    ideal: float
    clock: float | None
    gain: Spread
    held_mib: float | None
    peak_mib: float | None


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


def build_models(args: argparse.Namespace, images: Tensor) -> dict[str, nn.Module]:
    """Build the models, which share the dense one's weights; adapters are random."""
    vit = dict(arch=args.arch, img_size=args.pixels, patch_size=16)
    tome = f"AdaptFormer + ToMe {args.merge}"
    configs = {
        DENSE: dict(type="mmdyt.DyTViT", dispatch=None, adapter=None, **vit),
        "AdaptFormer": dict(type="mmdyt.DyTViT", dispatch=None, **vit),
        tome: dict(type="mmdyt.ToMeViT", dispatch=None, r=args.merge, **vit),
        DYNAMIC: dict(type="mmdyt.DyTViT", **vit),
        CAPACITY: dict(type="mmdyt.DyTViT", **vit),
    }
    models = {}
    for name, backbone in configs.items():
        head = dict(type="LinearClsHead", num_classes=100, in_channels=_width(backbone))
        config = dict(type="mmdyt.DyTImageClassifier", backbone=backbone, head=head)
        models[name] = MODELS.build(config).eval()
    models[DYNAMIC].init_weights()
    for layer in dispatched_layers(models[DYNAMIC]):
        nn.init.normal_(layer.adapter["mlp"].up.weight, std=0.1)
    weights = models[DYNAMIC].state_dict()  # which has every name of the others
    for model in models.values():
        for part in ("backbone", "head"):
            module = model.get_submodule(part)
            own = {name: weights[f"{part}.{name}"] for name in module.state_dict()}
            module.load_state_dict(own, assign=True)
    calibrate(models[DYNAMIC], images, args.rate)  # and CAPACITY, whose tensors are the same
    set_capacity(models[CAPACITY], args.rate)
    return models


def _width(backbone: dict) -> int:
    return MODELS.get("VisionTransformer").arch_zoo[backbone["arch"]]["embed_dims"]


def functions_of(
    model: nn.Module, example: Tensor, name: str, args: argparse.Namespace, folder: Path
) -> tuple[dict[str, Function], dict[str, float | None]]:
    """Prepare a function of tensors for every runtime, and say how many MiB each holds."""
    file, threads = folder / f"{name}.onnx", torch.get_num_threads()
    makers: dict[str, Callable[[], Function]] = {
        "torch": lambda: model,
        "torch, packed": lambda: packed(model),
        "onnxruntime": lambda: run_onnxruntime(file, threads),
        "OpenVINO": lambda: run_openvino(file, threads),
    }
    functions: dict[str, Function] = {}
    held: dict[str, float | None] = {}
    for runtime in [name for name in RUNTIMES if name in args.runtimes]:
        if "torch" not in runtime and not file.exists():
            # After the copy of the packed model: a trace leaves its tensors in ToMe's sizes.
            write_onnx(trace(model, example), file)
        functions[runtime], held[runtime] = held_memory(partial(used, makers[runtime], example))
    if "torch" in held:  # whose weights are there already
        held["torch"] = sum(param.nbytes for param in model.parameters()) / 2**20
    file.unlink(missing_ok=True)
    return functions, held


def packed(model: nn.Module) -> nn.Module:
    """Copy a model and pack its linear layers."""
    copied = copy.deepcopy(model)
    pack_linears(copied)
    return copied


def used(make: Callable[[], Function], example: Tensor) -> Function:
    """Make a function and call it once, as some runtimes take their memory only then."""
    function = make()
    function(example)
    return function


def flops_of(models: dict[str, nn.Module], images: Tensor) -> dict[str, float]:
    """FLOPs of an image of each model, as these images are dispatched."""
    flops = {}
    for name, model in models.items():
        with collect_dispatch(model) as records:
            model(images)
        flops[name] = float(CostAccount(model).flops(records, images).mean())
    return flops


def time_batch(
    functions: dict[str, dict[str, Function]],
    held: dict[str, dict[str, float | None]],
    mlps: dict[str, Function],
    images: Tensor,
    flops: dict[str, float],
    tokens: tuple[Tensor, Tensor],
    args: argparse.Namespace,
) -> list[Row]:
    """Time all models in all runtimes on one batch.

    Args:
        functions: By model and runtime.
        held: MiB that they hold, likewise.
        mlps: The MLPs by runtime.
        images: ``(B, 3, H, W)``.
        flops: By model.
        tokens: All tokens of the batch and those that a dispatcher leaves,
            ``(rows, C)``.
        args: The command line.
    """
    calls: dict[str, Callable[[], object]] = {}
    for model, by_runtime in functions.items():
        calls |= {f"{model}|{run}": partial(call, images) for run, call in by_runtime.items()}
    for part, rows in zip(("all", "left"), tokens):
        calls |= {f"{part}|{run}": partial(call, rows) for run, call in mlps.items()}
    title = f"batch {len(images)}"
    seconds = time_alternately(calls, args.rounds, args.seconds, title=title)
    table = []
    for runtime in args.runtimes:
        dense = seconds[f"{DENSE}|{runtime}"]
        skipped = [a - b for a, b in zip(seconds[f"all|{runtime}"], seconds[f"left|{runtime}"])]
        for model in functions:
            own = seconds[f"{model}|{runtime}"]
            clock = Spread.of([d / (d - s) for d, s in zip(dense, skipped)]).median
            table.append(
                Row(
                    runtime=runtime,
                    model=model,
                    gflops=flops[model] / 1e9,
                    seconds=Spread.of(own),
                    ideal=flops[DENSE] / flops[model],
                    clock=clock if model in (DYNAMIC, CAPACITY) else None,
                    gain=Spread.of([d / o for d, o in zip(dense, own)]),
                    held_mib=held[model][runtime],
                    peak_mib=peak_memory(calls[f"{model}|{runtime}"]),
                )
            )
    return table


def print_rows(title: str, rows: list[Row]) -> Table:
    """Make the table of one batch size."""
    table = Table(title=title)
    heads = ("runtime", "model", "GFLOPs", "ms", "gain over its dense", "ideal", "share of ideal")
    for head in (*heads, "clock limit", "share of it", "held MiB", "peak MiB"):
        table.add_column(head, justify="left" if head in ("runtime", "model") else "right")
    for row in rows:
        milliseconds = Spread(*(1e3 * value for value in asdict(row.seconds).values()))
        gain, clock = row.gain, row.clock
        table.add_row(
            row.runtime,
            row.model,
            f"{row.gflops:.2f}",
            str(milliseconds),
            f"{gain.median:.3f} [{gain.low:.3f}, {gain.high:.3f}]",
            f"{row.ideal:.3f}",
            f"{gain.median / row.ideal:.1%}",
            "-" if clock is None else f"{clock:.3f}",
            "-" if clock is None else f"{gain.median / clock:.1%}",
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
    if args.threads:
        torch.set_num_threads(args.threads)
    init_default_scope("mmpretrain")
    logging.disable(logging.INFO)
    torch.manual_seed(0)
    console = Console(width=170)
    images = torch.randn(max(*args.batch_sizes, 2), 3, args.pixels, args.pixels)
    models = build_models(args, images)
    flops = flops_of(models, images)
    clear = {name: clear_decisions(model, images) for name, model in models.items()}
    backbone: Any = models[DENSE].backbone
    num_tokens = backbone.pos_embed.shape[1]
    left = 1 + round(args.rate * (num_tokens - 1))
    result: dict[str, Any] = dict(machine=machine("cpu"), arch=args.arch, rate=args.rate)
    with tempfile.TemporaryDirectory() as name:
        tokens = torch.randn(num_tokens * len(images), backbone.embed_dims)
        folder = Path(name)
        mlps, _ = functions_of(Mlps(backbone), tokens, "mlps", args, folder)
        functions, held = {}, {}
        for model, module in track(models.items(), "exporting", transient=True):
            functions[model], held[model] = functions_of(
                Logits(module), images[:2], model, args, folder
            )
    for model, forms in functions.items():
        verify(dict(before=Logits(models[model])) | forms, images, clear[model])
        counted = f"{int(clear[model].sum())} of {len(images)} images without ties"
        console.print(f"{model}: equal logits in {', '.join(forms)} ({counted})")
    for batch in args.batch_sizes:
        rows = time_batch(
            functions,
            held,
            mlps,
            images[:batch],
            flops,
            (tokens[: batch * num_tokens], tokens[: batch * left]),
            args,
        )
        result[f"batch {batch}"] = rows
        title = f"ViT {args.arch}, batch {batch}, rate {args.rate}, {result['machine']}"
        console.print(print_rows(title, rows))
        with atomic_path(args.out / "benchmark_deployment.json") as path:
            path.write_text(json.dumps(result, default=asdict, indent=1))
    console.print(f"Written to {args.out}/benchmark_deployment.json")


if __name__ == "__main__":
    main()
