"""Memory of a training step's activations with and without windows of attention.

Windows save FLOPs at 1,024 px; this shows what they do to memory.
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table

from mmdyt.engine.cli import positive_int, tool
from mmdyt.evaluation.timing import saved_activations
from mmdyt.models.backbones import DyTViT
from mmdyt.models.utils import collect_dispatch, set_trainable


@tool
def main() -> None:
    """Measure every size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", default="base")
    parser.add_argument("--pixels", type=positive_int, nargs="+", default=[512, 1024])
    parser.add_argument("--window-size", type=positive_int, default=16)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    init_default_scope("mmpretrain")
    table = Table(title=f"ViT {args.arch}, DyT, one image on {args.device}")
    for column in ("image", "all tokens, MiB kept", f"windows of {args.window_size}, MiB kept"):
        table.add_column(column, justify="right")
    for pixels in args.pixels:
        kept = []
        for window_size in (None, args.window_size):
            model = DyTViT(
                arch=args.arch, img_size=pixels, out_type="featmap", window_size=window_size
            ).to(args.device)
            set_trainable(model, "peft", heads=())
            model.train()
            image = torch.randn(1, 3, pixels, pixels, device=args.device)
            with collect_dispatch(model):
                kept.append(saved_activations(model, partial(model, image))[1])
        table.add_row(f"{pixels} px", *(f"{mebibytes:,.0f}" for mebibytes in kept))
    Console().print(table)


if __name__ == "__main__":
    main()
