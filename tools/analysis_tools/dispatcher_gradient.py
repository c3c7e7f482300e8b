"""How much noisier the dispatchers' gradient is when few inactive tokens are computed.

``model.dyt.inactive_share = p`` leaves that gradient right in expectation and
adds variance to the one that the Gumbel noise has in any case. This repeats one
training step on one batch of real digits, with the weights as they are, and
compares.

    python tools/analysis_tools/dispatcher_gradient.py --epochs 5
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from rich.progress import track
from torch import Tensor

from mmdyt.datasets.digits import write_digits
from mmdyt.models.utils import dispatched_layers

CONFIG = "configs/image/digits/vit-mini_dyt_digits.py"


def mask_gradient(model: Any, batch: dict) -> Tensor:
    """One draw of the gradient of all dispatchers' parameters, ``(P,)``."""
    dispatchers = [part for layer in dispatched_layers(model) for part in layer.dispatcher.values()]
    params = [param for part in dispatchers for param in part.parameters()]
    total, _ = model.parse_losses(model(**batch, mode="loss"))
    return torch.cat([grad.flatten() for grad in torch.autograd.grad(total, params)])


def main() -> None:
    """Train a little, then print the spread for every share."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=5, help="of training before")
    parser.add_argument("--draws", type=int, default=50, help="repetitions of the step")
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0, 0.5, 0.25, 0.1])
    args = parser.parse_args()
    logging.disable(logging.INFO)
    write_digits(Path("data/digits"))
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict(
        dict(work_dir="work_dirs/dispatcher_gradient", log_level="ERROR", resume=False)
    )
    cfg.train_cfg = dict(by_epoch=True, max_epochs=args.epochs, val_interval=args.epochs)
    runner = Runner.from_cfg(cfg)
    runner.train()
    model = runner.model.train()
    batch = model.data_preprocessor(next(iter(runner.train_dataloader)), True)
    lines = ["share p | deviation of a draw / norm of the mean | variance to p = 1"]
    base = None
    for share in args.shares:
        for layer in dispatched_layers(model):
            layer.inactive_share = share
        draws = [
            mask_gradient(model, batch)
            for _ in track(range(args.draws), f"p = {share:g}", transient=True)
        ]
        grads = torch.stack(draws).double()
        variance = grads.var(0).sum()
        base = base or variance
        relative = variance.sqrt() / grads.mean(0).norm()
        lines.append(f"{share:7g} | {relative:38.2f} | {variance / base:.2f}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
