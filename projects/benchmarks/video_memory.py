"""Peak memory of video inference at several clip lengths.

Frames pass the ViT as so many images, and one query reads the tokens of all of
them: memory grows with T, never with the square of T * N.
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from mmdyt.engine.cli import positive_int, tool
from mmdyt.evaluation.timing import peak_memory
from mmdyt.models.backbones import DyTViT
from mmdyt.models.heads.attentive_pool import AttentivePool


class ClipEncoder(nn.Module):
    """A DyT ViT and the attentive pool, as the recognizer runs them.

    Args:
        arch: Architecture of the ViT.
        pixels: Height and width of a frame.
        num_frames: Frames ``T`` of a clip.
    """

    def __init__(self, arch: str, pixels: int, num_frames: int) -> None:
        super().__init__()
        self.backbone = DyTViT(arch=arch, img_size=pixels, out_type="raw")
        self.pool = AttentivePool(self.backbone.embed_dims, num_frames, num_heads=12)

    def forward(self, clips: Tensor) -> Tensor:
        """Encode clips, ``(B, T, 3, H, W)``, into ``(B, C)``."""
        tokens = self.backbone(clips.flatten(0, 1))[-1]  # (B * T, N, C)
        return self.pool(tokens.unflatten(0, clips.shape[:2]))  # (B, T, N, C) -> (B, C)


@tool
@torch.inference_mode()
def main() -> None:
    """Measure every clip length and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", default="base")
    parser.add_argument("--pixels", type=positive_int, default=224)
    parser.add_argument("--frames", type=positive_int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    init_default_scope("mmpretrain")
    table = Table(title=f"ViT {args.arch}, {args.pixels} px, one clip on {args.device}")
    for column in ("frames T", "peak MiB beyond the model and its input", "MiB a frame"):
        table.add_column(column, justify="right")
    for num_frames in args.frames:
        model = ClipEncoder(args.arch, args.pixels, num_frames).to(args.device)
        for module in model.modules():
            module.training = False
        clips = torch.randn(1, num_frames, 3, args.pixels, args.pixels, device=args.device)
        model(clips[:, :1].expand_as(clips))  # warm up
        peak = peak_memory(partial(model, clips), args.device)
        cells = ("-", "-") if peak is None else (f"{peak:.0f}", f"{peak / num_frames:.1f}")
        table.add_row(str(num_frames), *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
