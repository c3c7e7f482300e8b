"""Which patches were active over time: a strip a clip, frames by layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from numpy.typing import NDArray

from mmdyt.structures import DispatchRecord
from mmdyt.visualization.token_maps import LEGEND, clear_ticks, draw_token_map, token_maps_of


def draw_video_strip(
    frames: NDArray,
    records: Sequence[DispatchRecord],
    grid: tuple[int, int],
    caption: str = "",
) -> Figure:
    """Draw one column per frame: the frame, below it its active patches by layer.

    Args:
        frames: Frames of one clip, ``(T, H, W, 3)``, uint8.
        records: The records of one pass over these frames alone, masks
            ``(T, N)``.
        grid: Patches per column and row, ``(h, w)``.
        caption: Title. Defaults to none.

    Returns:
        The figure. Skipped patches are grey, active ones outlined.
    """
    return draw_strip(frames, token_maps_of(records, grid), caption)


def draw_strip(
    images: NDArray, maps: Mapping[str, NDArray], caption: str = "", unit: str = "frame"
) -> Figure:
    """Draw the maps of several frames, or windows of an image, one column each.

    Args:
        images: Frames or windows, ``(P, H, W, 3)``, uint8.
        maps: Active patches by dispatcher, ``(P, h, w)``, bool.
        caption: Title. Defaults to none.
        unit: What a column is. Defaults to ``'frame'``.

    Returns:
        The figure. Skipped patches are grey, active ones outlined.
    """
    rows, columns = len(maps) + 1, len(images)
    figure = Figure(figsize=(1.1 * columns + 0.6, 1.2 * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for column, image in enumerate(images):
        axes[0, column].imshow(image)
        axes[0, column].set_title(f"{unit} {column}", fontsize=9)
    for row, (name, masks) in enumerate(maps.items(), start=1):
        axes[row, 0].set_ylabel(name, fontsize=9)
        for column, image in enumerate(images):
            draw_token_map(axes[row, column], image, masks[column])
    clear_ticks(figure)
    figure.suptitle(caption, parse_math=False)
    figure.supxlabel(LEGEND, fontsize=8)
    return figure
