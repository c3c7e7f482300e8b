"""Segmentation at a glance: image, truth, prediction and active tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from mmdyt.structures import DispatchRecord
from mmdyt.visualization.text import legend_as_written

IGNORED = (255, 255, 255)


def colour_mask(mask: NDArray, palette: Sequence[Sequence[int]]) -> NDArray:
    """Paint a mask in the colours of its classes.

    Args:
        mask: Class of every pixel, ``(H, W)``, int.
        palette: RGB colour of every class.

    Returns:
        ``(H, W, 3)``, uint8; labels outside the palette, such as the ignored
        one, are white.
    """
    colours = np.array([*palette, IGNORED], dtype=np.uint8)
    return colours[np.minimum(mask, len(palette))]


def token_depth(records: Sequence[DispatchRecord], grid: tuple[int, int]) -> NDArray:
    """Share of dispatchers at which each patch was active.

    Args:
        records: The records of one pass over ``B`` images.
        grid: Patches per column and row, ``(h, w)``.

    Returns:
        ``(B, h, w)``, float, in [0, 1].
    """
    masks = [record.mask[:, record.num_prefix :].detach().float().cpu() for record in records]
    mean = np.mean([mask.numpy() for mask in masks], axis=0)  # (D, B, h * w) -> (B, h * w)
    return mean.reshape(-1, *grid)


def draw_seg_panel(
    images: NDArray,
    truth: NDArray,
    prediction: NDArray,
    records: Sequence[DispatchRecord],
    grid: tuple[int, int],
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
) -> Figure:
    """Draw one row per image: image, truth, prediction, active tokens.

    Args:
        images: RGB images, ``(B, H, W, 3)``, uint8.
        truth: Their masks, ``(B, H, W)``, int.
        prediction: The predicted masks, ``(B, H, W)``, int.
        records: The records of one whole-image pass over these images.
        grid: Patches per column and row, ``(h, w)``.
        classes: Names for the legend.
        palette: RGB colour of every class.

    Returns:
        The figure. The last column shows for each patch the share of layers
        that computed it.
    """
    depth = token_depth(records, grid)
    figure = Figure(figsize=(8, 1.75 * len(images) + 0.8), layout="constrained")
    axes = figure.subplots(len(images), 4, squeeze=False)
    for row in range(len(images)):
        axes[row, 0].imshow(images[row])
        axes[row, 1].imshow(colour_mask(truth[row], palette))
        axes[row, 2].imshow(colour_mask(prediction[row], palette))
        heat = axes[row, 3].imshow(depth[row], cmap="viridis", vmin=0, vmax=1)
        axes[row, 3].set_xlabel(f"mean {depth[row].mean():.0%}", fontsize=8, labelpad=1)
    for axis, title in zip(axes[0], ("image", "truth", "prediction", "active tokens")):
        axis.set_title(title, fontsize=10)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    figure.colorbar(heat, ax=axes[:, 3], label="share of layers that computed the patch")
    handles = [
        Patch(color=(red / 255, green / 255, blue / 255), label=name)
        for name, (red, green, blue) in zip(classes, palette)
    ]
    legend_as_written(figure, handles, loc="outside lower center", ncols=min(len(handles), 8))
    return figure
