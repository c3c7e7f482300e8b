"""Choose the prompts of a trained E2VPT model that are worth keeping.

Writes a mask file for ``model.backbone.keep``; then train again from the
pre-trained backbone with it ("rewind"). Prompts and segments of their channels
are ranked by the summed gradients of masks of ones on training data, as in the
method's released code; dropped prompts leave the sequence.

    python tools/analysis_tools/prompt_importance.py CONFIG CHECKPOINT OUT --drop-tokens 0.3
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from itertools import islice
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.runner import Runner, load_checkpoint, set_random_seed
from rich.console import Console
from torch import Tensor

from mmdyt.engine.cli import positive_int, tool
from mmdyt.evaluation import build_uninitialised
from mmdyt.models.utils import dispatched_layers
from mmdyt.models.utils.prompt_pruning import choose_prompts, prompt_importance, save_kept_prompts


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="path of a config file")
    parser.add_argument("checkpoint", help="an epoch_*.pth, best_*.pth or adapter.safetensors")
    parser.add_argument("out", help="the .safetensors file to write")
    parser.add_argument("--drop-tokens", type=float, default=0.5, help="share of prompts")
    parser.add_argument(
        "--drop-segments", type=float, default=0.5, help="share of each prompt's segments"
    )
    parser.add_argument("--segments", type=positive_int, default=16, help="of the channels")
    parser.add_argument("--batches", type=positive_int, default=16, help="of train_dataloader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help="key=value ...")
    return parser.parse_args()


def training_losses(model: Any, cfg: Config, batches: int, seed: int) -> Iterator[Tensor]:
    """Losses of the first batches of a config's training data, in evaluation mode."""
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=seed)
    for data in islice(loader, batches):
        data = model.data_preprocessor(data, training=True)
        yield model.parse_losses(model.loss(**data))[0]


@tool
def main() -> None:
    """Rank, choose, write."""
    args = parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    logging.disable(logging.INFO)
    set_random_seed(args.seed)
    model: Any = build_uninitialised(cfg)
    load_checkpoint(model, args.checkpoint, map_location="cpu")
    model.eval()
    for layer in dispatched_layers(model):  # hard decisions, which have no gradient
        layer.dispatcher.requires_grad_(False)
    losses = training_losses(model, cfg, args.batches, args.seed)
    scores = prompt_importance(model, losses, args.segments)
    tokens, segments = choose_prompts(*scores, args.drop_tokens, args.drop_segments)
    facts = dict(config=args.config, checkpoint=args.checkpoint, batches=args.batches)
    save_kept_prompts(args.out, tokens, segments, seed=args.seed, **facts)
    kept = int(tokens.sum()), int(segments[tokens].sum())
    Console().print(
        f"{args.out}: {kept[0]} of {len(tokens)} prompts, {kept[1]} segments "
        f"({args.segments} a prompt before). Set model.backbone.keep={args.out}"
    )


if __name__ == "__main__":
    main()
