"""Which patches were active, per layer, over the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mmdyt.structures import DispatchRecord

OUTLINE = "#e69f00"
LEGEND = "grey: skipped; outlined: active; below each map: share of active patches"


def token_maps_of(
    records: Sequence[DispatchRecord], image_size: Sequence[int]
) -> dict[str, NDArray]:
    """Sort the masks of one pass into maps of patches.

    Args:
        records: The records of one pass over ``B`` images.
        image_size: Height and width of the images; the patches of each layer
            form a grid of that aspect.

    Returns:
        Active patches by dispatcher, such as ``'mlp 0'``, ``(B, h, w)``, bool.

    Raises:
        ValueError: If tokens form no grid, as after merging (ToMe).
    """
    height, width = image_size
    maps = {}
    for record in records:
        mask = record.mask[:, record.num_prefix :].bool().cpu().numpy()  # (B, h * w)
        rows = round((mask.shape[1] * height / width) ** 0.5)
        if rows == 0 or mask.shape[1] % rows:
            raise ValueError(
                f"the {mask.shape[1]} tokens of {record.branch} {record.layer} form no grid over "
                f"an image of {height} x {width}: token maps need unmerged patches"
            )
        maps[f"{record.branch} {record.layer}"] = mask.reshape(len(mask), rows, -1)
    return maps


def shade_inactive(image: NDArray, active: NDArray, strength: float = 0.75) -> NDArray:
    """Grey the patches of an image that were skipped.

    They lose their colour and go towards mid-grey, so that they differ from
    active ones on dark and on bright backgrounds.

    Args:
        image: RGB image, ``(H, W, 3)``, uint8.
        active: Patch mask, ``(h, w)``, bool.
        strength: How far skipped patches go towards grey. Defaults to 0.75.

    Returns:
        The shaded image, ``(H, W, 3)``, uint8.
    """
    height, width = image.shape[:2]
    rows = np.arange(height) * active.shape[0] // height
    columns = np.arange(width) * active.shape[1] // width
    skipped = ~active[np.ix_(rows, columns)]  # (h, w) -> (H, W)
    shaded = image.astype(float)
    luminance = shaded[skipped].mean(axis=1, keepdims=True)
    shaded[skipped] = (1 - strength) * luminance + strength * 128
    return shaded.round().astype(np.uint8)


def draw_token_map(axis: Axes, image: NDArray, active: NDArray) -> None:
    """Draw an image with its skipped patches grey and its active ones outlined.

    Args:
        axis: Where to draw. The share of active patches is written below.
        image: RGB image, ``(H, W, 3)``, uint8.
        active: Patch mask, ``(h, w)``, bool.
    """
    axis.imshow(shade_inactive(image, active))
    scale = np.array([image.shape[1] / active.shape[1], image.shape[0] / active.shape[0]])
    # Pixel centres are at whole numbers: patches begin half a pixel before.
    edges = [np.array(edge) * scale - 0.5 for edge in _outline(active)]
    axis.add_collection(LineCollection(edges, colors=OUTLINE, linewidths=0.9, clip_on=False))
    axis.set_xlabel(f"{active.mean():.0%}", fontsize=8, labelpad=1)


def _outline(active: NDArray) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Edges ``((x, y), (x, y))`` between active patches and skipped ones or the border."""
    framed = np.pad(active, 1)
    across = np.argwhere(framed[:, 1:] != framed[:, :-1])  # left and right of patches
    along = np.argwhere(framed[1:] != framed[:-1])  # above and below
    return [((x, y - 1), (x, y)) for y, x in across] + [((x - 1, y), (x, y)) for y, x in along]


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
        The figure. Skipped patches are grey, active ones outlined.
    """
    rows, columns = len(images), len(records) + 1
    figure = Figure(figsize=(1.3 * columns, 1.4 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for column, (name, maps) in enumerate(token_maps_of(records, grid).items(), start=1):
        axes[0, column].set_title(name, fontsize=9)
        for row, image in enumerate(images):
            draw_token_map(axes[row, column], image, maps[row])
    for row, image in enumerate(images):
        axes[row, 0].imshow(image)
        axes[row, 0].set_ylabel(captions[row] if captions else "", parse_math=False)
    clear_ticks(figure)
    figure.supxlabel(LEGEND, fontsize=8)
    return figure


def clear_ticks(figure: Figure) -> None:
    """Take the ticks from all axes of a figure of pictures."""
    for axis in figure.axes:
        axis.set(xticks=[], yticks=[])
