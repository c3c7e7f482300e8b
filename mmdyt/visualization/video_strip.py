"""Which patches were active over time: a strip a clip, frames by layers."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from numpy.typing import NDArray

from mmdyt.structures import DispatchRecord
from mmdyt.visualization.token_maps import shade_inactive


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
        The figure. Skipped patches are shaded blue.
    """
    rows, columns = len(records) + 1, len(frames)
    figure = Figure(figsize=(1.1 * columns + 0.6, 1.2 * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for time, frame in enumerate(frames):
        axes[0, time].imshow(frame)
        axes[0, time].set_title(f"frame {time}", fontsize=9)
        for row, record in enumerate(records, start=1):
            active = record.mask[time, record.num_prefix :].bool().cpu().numpy()  # (N,)
            axes[row, time].imshow(shade_inactive(frame, active.reshape(grid)))
            axes[row, time].set_xlabel(f"{active.mean():.0%}", fontsize=8, labelpad=1)
            if time == 0:
                axes[row, 0].set_ylabel(f"{record.branch} {record.layer}", fontsize=9)
    for one in axes.flat:
        one.set(xticks=[], yticks=[])
    figure.suptitle(caption)
    figure.supxlabel("blue: skipped; below each map: share of active patches", fontsize=8)
    return figure
