"""SPT's first stage: find the weights that a task is sensitive to, and select what trains.

Squared gradients of a few training batches, without augmentation, on a fresh
head; then, for each budget, the selection whose size is nearest. The file goes to
``model.backbone.selection`` of a config with ``configs/_base_/tuning/spt_lora.py``
or ``spt_adapter.py``; the budget is a choice of each task, to be made on
validation data.

    python tools/analysis_tools/sensitivity.py CONFIG --budget 0.2 0.4 --out spt.safetensors
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmengine.runner import Runner, set_random_seed
from rich.console import Console
from torch import Tensor, nn

from mmdyt.engine.cli import positive_int, tool
from mmdyt.evaluation import build_uninitialised
from mmdyt.models.utils import dispatch_mode
from mmdyt.models.utils.frozen_base import fingerprint
from mmdyt.models.utils.sensitivity import (
    STRUCTURED,
    Selection,
    backbone_parts,
    save_selection,
    select,
    sensitivity,
)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="path of a config file")
    parser.add_argument("--budget", type=float, nargs="+", default=[0.4], help="millions to train")
    parser.add_argument("--structured", choices=STRUCTURED, default="lora")
    parser.add_argument("--rank", type=positive_int, default=8, help="of LoRA or adapters")
    parser.add_argument("--alpha", type=float, default=10.0, help="1 / share of a module's size")
    parser.add_argument("--beta", type=float, default=5.0, help="1 / share of a vector")
    parser.add_argument("--batches", type=positive_int, default=16)
    parser.add_argument("--batch-size", type=positive_int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="a .safetensors file; with several budgets each stands before the suffix",
    )
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help="key=value ...")
    return parser.parse_args()


def plain_model(cfg: Config) -> Any:
    """Build a config's classifier with a plain backbone that trains whole, and a fresh head."""
    backbone = cfg.model.backbone
    for key in ("selection", "rank", "spt_drop_rate", "spt_drop_path_rate"):
        backbone.pop(key, None)
    backbone.update(type="mmdyt.DyTViT", dispatch=None, adapter=None)
    cfg.model.tuning = "full"
    model: Any = build_uninitialised(cfg)
    model.init_weights()
    for linear in model.head.modules():
        if isinstance(linear, nn.Linear):
            nn.init.normal_(linear.weight, std=0.02)
    return model.train()


def training_losses(model: Any, cfg: Config, args: argparse.Namespace) -> Iterator[Tensor]:
    """Losses of the first training batches, in order, as validation prepares them."""
    dataset = dict(cfg.train_dataloader.dataset, pipeline=cfg.val_dataloader.dataset.pipeline)
    loader = dict(
        batch_size=args.batch_size,
        num_workers=0,
        sampler=dict(type="DefaultSampler", shuffle=False),
        dataset=dataset,
    )
    for data in islice(Runner.build_dataloader(loader, seed=args.seed), args.batches):
        data = model.data_preprocessor(data, training=False)
        classes = model.head.num_classes
        labels = [int(label) for sample in data["data_samples"] for label in sample.gt_label]
        if not all(0 <= label < classes for label in labels):
            raise ValueError(f"labels {min(labels)} to {max(labels)} leave model.head's {classes}")
        yield model.parse_losses(model.loss(**data))[0]


def out_file(out: Path, budgets: list[float], budget: float) -> Path:
    """Name the file of one budget."""
    return out if len(budgets) == 1 else out.with_name(f"{out.stem}_{budget:g}{out.suffix}")


@tool
def main() -> None:
    """Score, select, write."""
    args = parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    logging.disable(logging.INFO)
    set_random_seed(args.seed)
    model = plain_model(cfg)
    backbone = model.backbone
    parts = backbone_parts(backbone)
    with dispatch_mode(model, "complete"):
        scores = sensitivity(backbone, training_losses(model, cfg, args))
    params = dict(backbone.named_parameters())
    names = {part.tensor for part in parts.values()}
    token = params.get("cls_token", torch.empty(0)).numel()
    settings = dict(structured=args.structured, rank=args.rank, alpha=args.alpha, beta=args.beta)
    found: list[Selection] = select(scores, parts, args.budget, token, **settings)
    facts = dict(settings, seed=args.seed, batches=args.batches, config=args.config)
    facts["shapes"] = {name: list(params[name].shape) for name in names}
    facts["base"] = fingerprint({name: params[name] for name in names})
    for budget, selection in zip(args.budget, found):
        file = out_file(args.out, args.budget, budget)
        save_selection(file, selection, budget=budget, **facts)
        single = sum(len(index) for index in selection.indices.values())
        Console().print(
            f"{file}: {selection.total:,} parameters for a budget of {budget:g} M; "
            f"{len(selection.structured)} modules, {len(selection.vectors)} vectors, "
            f"{single:,} values of vectors and matrices",
            soft_wrap=True,
        )


if __name__ == "__main__":
    main()
