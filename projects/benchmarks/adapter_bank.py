"""Memory and speed of a bank of tasks against as many models.

The images of a batch belong to the tasks in turn. The bank runs them at once;
the models run their own images each. Weights are random, the dispatchers' biases
are set so that half of the tokens are active, and both ways take turns.

    python -m projects.benchmarks.adapter_bank --tasks 1 4 16
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from pathlib import Path

import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import mmdyt
from mmdyt.engine.cli import positive_int, tool
from mmdyt.evaluation.timing import Spread, ratios, time_alternately
from tools.analysis_tools.benchmark_inference import calibrate


def write_adapters(folder: Path, arch: str, images: Tensor, number: int) -> dict[str, Path]:
    """Write a random base and adapters of several tasks on it.

    Args:
        folder: Where to.
        arch: Architecture of the ViT.
        images: What the activation rate of 0.5 is measured on.
        number: How many tasks.

    Returns:
        Adapter files by task.
    """
    backbone = dict(type="mmdyt.DyTViT", arch=arch, img_size=images.shape[-1], patch_size=16)
    torch.save(MODELS.build(dict(backbone, type="VisionTransformer")).state_dict(), folder / "base")
    backbone["init_cfg"] = dict(type="Pretrained", checkpoint=str(folder / "base"))
    width = MODELS.build(dict(backbone, init_cfg=None)).embed_dims
    head = dict(type="LinearClsHead", num_classes=100, in_channels=width)
    model = MODELS.build(dict(type="mmdyt.DyTImageClassifier", backbone=backbone, head=head))
    model.init_weights()
    model.eval()
    files = {f"task{index}": folder / f"task{index}.safetensors" for index in range(number)}
    for file in files.values():
        for name, param in model.named_parameters():
            if name in model.trained_names:
                nn.init.normal_(param, std=0.02)
        calibrate(model.backbone, images, 0.5)
        mmdyt.save_adapter(model, file)
    return files


def weights_mib(modules: list[nn.Module]) -> float:
    """Memory of the parameters and buffers of some models."""
    tensors = {t.data_ptr(): t for m in modules for t in (*m.parameters(), *m.buffers())}
    return sum(tensor.nbytes for tensor in tensors.values()) / 2**20


@tool
@torch.no_grad()
def main() -> None:
    """Measure every number of tasks and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", default="base", help="arch of mmpretrain's VisionTransformer")
    parser.add_argument("--pixels", type=positive_int, default=224)
    parser.add_argument("--batch", type=positive_int, default=16)
    parser.add_argument("--tasks", type=positive_int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--rounds", type=positive_int, default=9)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    logging.disable(logging.WARNING)  # what a plain base lacks is new to it
    init_default_scope("mmpretrain")
    torch.manual_seed(0)
    images = torch.randn(args.batch, 3, args.pixels, args.pixels)
    title = f"ViT {args.arch}, {args.pixels} px, batch {args.batch}, {args.device}"
    table = Table(title=f"{title}; medians with quartiles")
    heads = ("tasks", "weights MiB: bank", "models", "images/s: bank", "models", "bank's gain")
    for column in heads:
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        files = write_adapters(Path(folder), args.arch, images, max(args.tasks))
        images = images.to(args.device)
        for number in args.tasks:
            chosen = dict(list(files.items())[:number])
            bank = mmdyt.AdapterBank(chosen).to(args.device)
            models = [mmdyt.load_adapter(file).to(args.device) for file in chosen.values()]
            tasks = [list(chosen)[index % number] for index in range(args.batch)]
            own = [images[index::number] for index in range(number)]
            ways = {
                "models": lambda models=models, own=own: [m(x) for m, x in zip(models, own)],
                "bank": lambda bank=bank, tasks=tasks: bank(images, tasks),
            }
            seconds = time_alternately(
                ways, args.rounds, device=args.device, title=f"{number} tasks"
            )
            speed = {name: Spread.of([args.batch / s for s in seconds[name]]) for name in ways}
            table.add_row(
                str(number),
                f"{weights_mib([bank]):.0f}",
                f"{weights_mib(models):.0f}",
                str(speed["bank"]),
                str(speed["models"]),
                str(ratios(seconds, "models", "bank")),
            )
    Console().print(table)


if __name__ == "__main__":
    main()
