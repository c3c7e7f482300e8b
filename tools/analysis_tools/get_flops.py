"""FLOPs and parameters of any config's model: no data, no weights needed.

Multiply-adds count once, as in the paper's figures (ViT-B/16: 17.58 G).
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from mmengine.config import DictAction
from rich.console import Console
from rich.table import Table
from torch import nn

from mmdyt.engine.cli import tool
from mmdyt.engine.config_keys import load_config
from mmdyt.evaluation import CostAccount, build_uninitialised, count_parameters, sample_shape
from mmdyt.models.utils import dispatched_layers


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="path of a config file")
    parser.add_argument(
        "--rate",
        type=float,
        help="share of active tokens of every dispatcher, in [0, 1]; "
        "defaults to model.dyt.target_rate",
    )
    parser.add_argument(
        "--shape",
        type=int,
        nargs=2,
        metavar=("H", "W"),
        help="input size in pixels; defaults to the backbone's img_size",
    )
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, help="overrides of the config: key=value ..."
    )
    args = parser.parse_args()
    if args.rate is not None and not 0 <= args.rate <= 1:
        parser.error(f"--rate must be in [0, 1], got {args.rate}")
    return args


def flops_by_part(
    model: nn.Module, inputs: torch.Tensor, rate: float | None
) -> dict[str, tuple[float, float]]:
    """Split FLOPs of one sample by the model's children that compute something.

    Args:
        model: Any model.
        inputs: A batch of one sample.
        rate: Activation rate, or ``None`` for the complete model.

    Returns:
        FLOPs of the complete model and at the rate, by child, ``'total'`` last.
    """
    account = CostAccount(model)
    complete = account.complete(inputs)
    dynamic = complete.flops if rate is None else account.flops_at_rate(inputs, rate)
    saved = complete.flops - dynamic
    parts = {}
    for name, child in model.named_children():
        flops = complete.by_module[name]
        if flops and hasattr(model, "backbone"):
            parts[name] = (flops, flops - saved if dispatched_layers(child) else flops)
    return parts | {"total": (complete.flops, dynamic)}


def print_report(model: nn.Module, shape: tuple[int, ...], rate: float | None) -> None:
    """Print both tables of a model."""
    console = Console()
    parts = flops_by_part(model, torch.zeros(1, *shape), rate)
    flops = Table(title=f"GFLOPs of one sample of shape {shape}, multiply-adds counted once")
    flops.add_column("part")
    flops.add_column("complete model", justify="right")
    if rate is not None:
        flops.add_column(f"DyT at rate {rate:g}", justify="right")
    for name, values in parts.items():
        shown = values if rate is not None else values[:1]
        flops.add_row(name, *(f"{value / 1e9:.4g}" for value in shown))
    console.print(flops)

    count = count_parameters(model)
    parameters = Table(title="Parameters, in millions")
    for heading in ("total", "trainable", "adapters", "dispatchers"):
        parameters.add_column(heading, justify="right")
    numbers = (count.total, count.trainable, count.adapters, count.dispatchers)
    parameters.add_row(*(f"{number / 1e6:.3f}" for number in numbers))
    console.print(parameters)


@tool
def main() -> None:
    """Count and print."""
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    model = build_uninitialised(cfg)
    dynamic = any(len(layer.dispatcher) for layer in dispatched_layers(model))
    if args.rate is not None and not dynamic:
        raise SystemExit(
            f"--rate {args.rate:g} has no meaning here: model.backbone.dispatch of {args.config} "
            f"builds no dispatcher"
        )
    rate = args.rate
    objective: Any = getattr(model, "objective", None)
    if dynamic and rate is None and objective is not None:
        rate = objective.target_rate
    print_report(model, sample_shape(cfg, args.shape), rate)


if __name__ == "__main__":
    main()
