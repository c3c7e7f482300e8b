"""Pictures of the studies' pages."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mmdyt.structures import DispatchRecord
from mmdyt.visualization import draw_token_maps


def draw_masks(images: NDArray, masks: NDArray, captions: Sequence[str] | None = None) -> Figure:
    """Draw which patches were active: masks ``(L, B, N)`` over images ``(B, H, W, 3)``."""
    records = [
        DispatchRecord(layer, "mlp", torch.from_numpy(mask), None)
        for layer, mask in enumerate(masks)
    ]
    side = math.isqrt(masks.shape[-1])
    return draw_token_maps(images, records, grid=(side, side), captions=captions)
