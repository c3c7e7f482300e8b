"""Which patches were active, per layer, over the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mmdyt.structures import DispatchRecord


def shade_inactive(image: NDArray, active: NDArray, strength: float = 0.75) -> NDArray:
    """Darken the patches of an image that were skipped.

    Args:
        image: RGB image, ``(H, W, 3)``, uint8.
        active: Patch mask, ``(h, w)``, bool; ``H`` and ``W`` are multiples.
        strength: How far skipped patches go towards blue. Defaults to 0.75.

    Returns:
        The shaded image, ``(H, W, 3)``, uint8.
    """
    scale = (image.shape[0] // active.shape[0], image.shape[1] // active.shape[1])
    skipped = ~np.kron(active, np.ones(scale, dtype=bool))  # (h, w) -> (H, W)
    shade = np.array([68, 119, 170]) * 0.8
    shaded = image.astype(float)
    shaded[skipped] = (1 - strength) * shaded[skipped] + strength * shade
    return shaded.astype(np.uint8)


def draw_token_maps(
    images: NDArray,
    records: Sequence[DispatchRecord],
    grid: tuple[int, int],
    captions: Sequence[str] | None = None,
) -> Figure:
    """Draw one row per image: the image, then its active patches per layer.

    Args:
        images: RGB images, ``(B, H, W, 3)``, uint8.
        records: The records of one pass over these images.
        grid: Patches per column and row, ``(h, w)``.
        captions: A text for every image. Defaults to ``None``.

    Returns:
        The figure. Skipped patches are shaded blue.
    """
    rows, columns = len(images), len(records) + 1
    figure = Figure(figsize=(1.3 * columns, 1.4 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for row, image in enumerate(images):
        axes[row, 0].imshow(image)
        axes[row, 0].set_ylabel(captions[row] if captions else "")
        for column, record in enumerate(records, start=1):
            mask = record.mask[row, record.num_prefix :].bool().cpu().numpy().reshape(grid)
            axes[row, column].imshow(shade_inactive(image, mask))
            axes[row, column].set_xlabel(f"{mask.mean():.0%}", fontsize=8, labelpad=1)
            if row == 0:
                axes[0, column].set_title(f"{record.branch} {record.layer}", fontsize=9)
    for one in axes.flat:
        one.set(xticks=[], yticks=[])
    figure.supxlabel("blue: skipped; below each map: share of active patches", fontsize=8)
    return figure
