"""How many images of a config fit into a GPU's memory while it trains: computed, without a GPU.

What training keeps is weights (with ``--amp`` also their half-precision copies), of what trains
the gradients and AdamW's two moments (12 bytes a parameter), and what autograd saves for the
backward pass. That last part is measured on the CPU, with batches of one and two images: their
difference is what an image costs. A GPU needs more for temporaries, its context and the gaps of
its allocator; ``--spare`` leaves that free. A linear probe saves next to nothing: its batch is not
limited by what this counts.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmpretrain.structures import DataSample
from rich.console import Console
from rich.table import Table

from mmdyt.engine.cli import positive_int, tool
from mmdyt.engine.config_keys import load_config
from mmdyt.evaluation import build_uninitialised, count_parameters, sample_shape
from mmdyt.evaluation.timing import saved_activations

CONFIGS = [
    f"configs/image/cifar100/{name}_8xb128_cifar100.py"
    for name in (
        *("vit-b16_lora", "vit-b16_adaptformer", "vit-b16_dyt", "vit-b16_full"),
        *("vit-l16_adaptformer", "vit-l16_dyt"),
    )
]
MIB = 2**20


@dataclass(frozen=True)
class Memory:
    """What training an image classifier keeps, in MiB.

    Args:
        fixed: Weights, and gradients and moments of what trains.
        image: What autograd saves of one image.
    """

    fixed: float
    image: float

    def batch(self, gibibytes: float, spare: float) -> int:
        """The images that fit into a memory of which a share is left free.

        Args:
            gibibytes: Size of the memory.
            spare: The share, in ``[0, 1)``.
        """
        return max(0, int((gibibytes * 1024 * (1 - spare) - self.fixed) / self.image))


def measure(cfg: Config, amp: bool) -> Memory:
    """Measure a config's model with random weights and images.

    Args:
        cfg: The config of an image classifier.
        amp: Whether it trains in mixed precision: what is saved is then measured
            in bfloat16, the same size as float16.
    """
    backbone = cfg.model.backbone
    backbone.get("module", backbone).init_cfg = None
    model: Any = build_uninitialised(cfg)
    model.init_weights()
    count = count_parameters(model)
    shape = sample_shape(cfg)
    one, two = (saved(model.train(), batch, shape, amp) for batch in (1, 2))
    weights = (6 if amp else 4) * count.total
    return Memory((weights + 12 * count.trainable) / MIB, two - one)


def saved(model: Any, batch: int, shape: tuple[int, ...], amp: bool) -> float:
    """Measure what one training step saves, in MiB."""
    images = torch.randn(batch, *shape)
    samples = [DataSample().set_gt_label(0) for _ in range(batch)]
    with torch.autocast("cpu", torch.bfloat16, enabled=amp):
        return saved_activations(model, lambda: model.loss(images, samples))[1]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("configs", nargs="*", default=CONFIGS, help="configs of image classifiers")
    parser.add_argument(
        "--gpus", nargs="+", type=positive_int, default=[8, 16, 24, 40, 80], help="memories, in GiB"
    )
    parser.add_argument(
        "--spare", type=float, default=0.2, help="share of the memory to leave free; default 0.2"
    )
    parser.add_argument("--amp", action="store_true", help="of training in mixed precision")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        help="overrides of the configs: key=value ...",
    )
    args = parser.parse_args()
    if not 0 <= args.spare < 1:
        parser.error(f"--spare must be in [0, 1), got {args.spare}")
    return args


@tool
def main() -> None:
    """Measure and print."""
    args = parse_args()
    logging.disable(logging.INFO)  # what init_weights says of every layer
    table = Table(title=f"Images a GPU, {args.spare:.0%} of its memory left free")
    headings = ["weights etc., MiB", "saved an image, MiB", *(f"{size} GiB" for size in args.gpus)]
    table.add_column("config")
    for heading in headings:
        table.add_column(heading, justify="right")
    for path in args.configs:
        cfg = load_config(path, args.cfg_options)
        if "cls_head" in cfg.model or "decode_head" in cfg.model or "head" not in cfg.model:
            raise ValueError(f"{path}: only image classifiers (model.head) can be measured")
        memory = measure(cfg, args.amp)
        batches = (str(memory.batch(size, args.spare)) for size in args.gpus)
        table.add_row(Path(path).stem, f"{memory.fixed:.0f}", f"{memory.image:.1f}", *batches)
    Console().print(table)


if __name__ == "__main__":
    main()
