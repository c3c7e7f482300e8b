"""One table of every tuning method on ViT-B/16: parameters, GFLOPs, and what they take.

Methods take turns in one process, with random weights: a training step as a
multiple of AdaptFormer's, images a second over those of the dense ViT, and what
autograd keeps for the backward pass. Inference runs merged weights where a
method has them, and DyT's dispatchers at half of the tokens.

    python tools/analysis_tools/methods_table.py
    python tools/analysis_tools/methods_table.py --rounds 0 --json
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import mmdyt.models  # noqa: F401  before mmpretrain, which would print a warning among the rows

# isort: split
import torch
from benchmark_inference import calibrate
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from rich.console import Console
from torch import nn
from tuning_methods import METHODS

from mmdyt.engine.cli import positive_int, tool
from mmdyt.evaluation import CostAccount, build_uninitialised
from mmdyt.evaluation.timing import ratios, saved_activations, time_alternately, training_step
from mmdyt.models.utils import dispatched_layers, merged
from mmdyt.models.utils.sensitivity import backbone_parts, save_selection, select, sensitivity

TUNING = Path(__file__).parents[2] / "configs/_base_/tuning"
DENSE, ADAPTED = "linear", "adaptformer"
RATE = 0.5


@dataclass
class Row:
    """What a method comes to.

    Args:
        name: A key of :data:`METHODS`.
        params_added: Parameters that train, without the head's.
        published: As :class:`Method`.
        gflops: Of an image at inference, multiply-adds counted once.
        step_to_adaptformer: Time of a training step over AdaptFormer's, median.
        speed_to_dense: Images a second over those of the dense ViT, median.
        saved_mib: What autograd keeps of a step's forward pass.
    """

    name: str
    params_added: int
    published: str
    gflops: float
    step_to_adaptformer: float | None = None
    speed_to_dense: float | None = None
    saved_mib: float | None = None


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--methods", nargs="+", choices=list(METHODS), default=list(METHODS), metavar="NAME"
    )
    parser.add_argument("--batch", type=positive_int, default=4, help="images a step")
    parser.add_argument(
        "--rounds", type=int, default=5, help="timings of each; 0: parameters and GFLOPs only"
    )
    parser.add_argument("--budget", type=float, default=600, help="seconds for each kind of timing")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true", help="print a list of rows, and no table")
    args = parser.parse_args()
    if args.rounds < 0:
        parser.error(f"--rounds must be at least 0, got {args.rounds}")
    return args


def build(name: str, folder: Path) -> Any:
    """Build a method's ViT-B/16 classifier with the weights that constructors draw.

    Args:
        name: A key of :data:`METHODS`.
        folder: Where to put the selection that SPT needs.
    """
    cfg = Config.fromfile(TUNING / f"{METHODS[name].config}.py")
    cfg.merge_from_dict(METHODS[name].changes)
    cfg.model.backbone.get("module", cfg.model.backbone).init_cfg = None
    if "selection" in cfg.model.backbone:
        cfg.model.backbone.selection = str(folder / f"{name}.safetensors")
        select_weights(name.removeprefix("spt_"), cfg.model.backbone.selection)
    return build_uninitialised(cfg)


def select_weights(structured: str, file: str) -> None:
    """Write SPT's selection of 0.4 M for a random ViT-B/16 on random images.

    Which weights it has depends on task and weights; how many, by a step of the
    budget at most.
    """
    torch.manual_seed(0)
    backbone: Any = MODELS.build(
        dict(type="mmdyt.DyTViT", arch="base", dispatch=None, adapter=None)
    )
    backbone.init_weights()
    head = torch.randn(backbone.embed_dims, 100) * 0.02
    images, labels = torch.randn(2, 3, 224, 224), torch.tensor([0, 1])
    loss = nn.functional.cross_entropy(backbone(images)[-1] @ head, labels)
    scores, parts = sensitivity(backbone, [loss]), backbone_parts(backbone)
    (found,) = select(scores, parts, [0.4], backbone.embed_dims, structured)
    shapes = {name: list(score.shape) for name, score in scores.items()}
    save_selection(file, found, structured=structured, rank=8, shapes=shapes)


def count(name: str, model: nn.Module) -> Row:
    """Count a method's parameters, and FLOPs of one image at inference."""
    params = model.named_parameters()
    trained = sum(p.numel() for n, p in params if p.requires_grad and not n.startswith("head."))
    image = torch.zeros(1, 3, 224, 224)
    flops = CostAccount(merged(model)).flops_at_rate(image, RATE)
    gc.collect()  # the analyser holds the merged copy in a cycle
    return Row(name, trained, METHODS[name].published, round(flops / 1e9, 3))


def share_frozen(models: dict[str, Any]) -> None:
    """Let all models hold the dense one's frozen weights: those of 19 fill a machine's memory."""
    base = dict(models[DENSE].backbone.named_parameters())
    for model in models.values():
        for name, param in model.backbone.named_parameters():
            name = name.replace("module.", "").replace("original_layer.", "")  # LoRA's
            if not param.requires_grad and name in base:
                param.data = base[name].data


def measure(rows: dict[str, Row], models: dict[str, Any], args: argparse.Namespace) -> None:
    """Time training steps, then inference, in turns; fill the rows in.

    Args:
        rows: Those to fill, by method.
        models: Their classifiers, and the dense and AdaptFormer's; used up.
        args: The command line.
    """
    torch.manual_seed(0)
    images = torch.randn(args.batch, 3, 224, 224, device=args.device)
    samples = [DataSample().set_gt_label(i).to(args.device) for i in range(args.batch)]
    steps: dict[str, Callable[[], None]] = {}
    for name, model in models.items():
        forward, steps[name] = training_step(model.to(args.device), images, samples)
        if name in rows:
            rows[name].saved_mib = round(saved_activations(model, forward)[1], 1)
    timing = args.rounds, args.budget, args.device
    seconds = time_alternately(steps, *timing, "training steps")
    for name, row in rows.items():
        row.step_to_adaptformer = round(ratios(seconds, name, ADAPTED).median, 3)
    del model, forward
    steps.clear()  # they hold the models
    with torch.no_grad():
        small: dict[str, Any] = {
            name: merged(models.pop(name)).get_submodule("backbone") for name in list(models)
        }
        for model in small.values():
            if any(len(layer.dispatcher) for layer in dispatched_layers(model)):
                calibrate(model, images, RATE)
        calls = {name: (lambda model=model: model(images)) for name, model in small.items()}
        seconds = time_alternately(calls, *timing, "inference")
    for name, row in rows.items():
        gains = [dense / own for dense, own in zip(seconds[DENSE], seconds[name])]
        row.speed_to_dense = round(median(gains), 3)


def to_markdown(rows: list[Row]) -> str:
    """Write the rows as a Markdown table."""
    head = ["method", "parameters", "published, M", "GFLOPs", "step / AdaptFormer's"]
    lines = [[*head, "images/s / dense", "kept for backward, MiB"], ["---"] + ["---:"] * 6]
    for row in rows:
        measured = (row.step_to_adaptformer, row.speed_to_dense, row.saved_mib)
        cells = [row.name, f"{row.params_added:,}", row.published, f"{row.gflops:.2f}"]
        lines.append(cells + ["-" if value is None else str(value) for value in measured])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@tool
def main() -> None:
    """Count, time, print."""
    args = parse_args()
    logging.disable(logging.WARNING)  # mmengine logs to where the table goes
    init_default_scope("mmpretrain")
    needed = {*args.methods, DENSE, ADAPTED} if args.rounds else set(args.methods)
    with TemporaryDirectory() as folder:
        models = {name: build(name, Path(folder)) for name in METHODS if name in needed}
    if DENSE in models:
        share_frozen(models)
    rows = {name: count(name, models[name]) for name in args.methods}
    if args.rounds:
        measure(rows, models, args)
    if args.json:
        print(json.dumps([asdict(row) for row in rows.values()], indent=1))
    else:
        Console().print(to_markdown(list(rows.values())), soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
