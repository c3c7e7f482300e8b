"""Detection at a glance: truth, prediction and active tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from mmdyt.structures import DispatchRecord
from mmdyt.visualization.seg_panel import token_depth
from mmdyt.visualization.text import legend_as_written


class Objects(NamedTuple):
    """The objects of one image.

    Args:
        boxes: Corners ``x1, y1, x2, y2`` in pixels, ``(K, 4)``.
        labels: Classes, ``(K,)``, int.
        masks: ``(K, H, W)``, bool. Defaults to ``None``.
    """

    boxes: NDArray
    labels: NDArray
    masks: NDArray | None = None


def draw_det_panel(
    images: NDArray,
    truth: Sequence[Objects],
    prediction: Sequence[Objects],
    records: Sequence[DispatchRecord],
    grid: tuple[int, int],
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
) -> Figure:
    """Draw one row an image: truth, prediction, active tokens under the predicted boxes.

    Args:
        images: RGB images, ``(B, H, W, 3)``, uint8.
        truth: Their objects.
        prediction: The predicted objects.
        records: The records of one pass over these images.
        grid: Patches per column and row, ``(h, w)``.
        classes: Names for the legend.
        palette: RGB colour of every class.

    Returns:
        The figure. The last column shows for each patch the share of layers
        that computed it.
    """
    colours = [(red / 255, green / 255, blue / 255) for red, green, blue in palette]
    depth = token_depth(records, grid)
    height, width = images.shape[1:3]
    size = (9, 2.6 * len(images) * height / width + 0.9)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(images), 3, squeeze=False)
    for row, image in enumerate(images):
        for column, objects in ((0, truth[row]), (1, prediction[row])):
            axes[row, column].imshow(image)
            _draw_objects(axes[row, column], objects, colours)
        extent = (-0.5, width - 0.5, height - 0.5, -0.5)
        heat = axes[row, 2].imshow(depth[row], cmap="viridis", vmin=0, vmax=1, extent=extent)
        for left, top, right, bottom in prediction[row].boxes:
            axes[row, 2].add_patch(_frame(left, top, right, bottom, "white"))
        axes[row, 2].set_xlabel(f"mean {depth[row].mean():.0%}", fontsize=8, labelpad=1)
    for axis, title in zip(axes[0], ("truth", "prediction", "active tokens")):
        axis.set_title(title, fontsize=10)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    figure.colorbar(heat, ax=axes[:, 2], label="share of layers that computed the patch")
    handles = [Patch(color=colour, label=name) for name, colour in zip(classes, colours)]
    legend_as_written(figure, handles, loc="outside lower center", ncols=min(len(handles), 8))
    return figure


def _draw_objects(axis: Axes, objects: Objects, colours: Sequence[tuple]) -> None:
    for index, (label, corners) in enumerate(zip(objects.labels, objects.boxes)):
        left, top, right, bottom = corners
        axis.add_patch(_frame(left, top, right, bottom, colours[label]))
        if objects.masks is not None:
            mask = objects.masks[index]
            tint = np.zeros((*mask.shape, 4))
            tint[mask] = (*colours[label], 0.4)
            axis.imshow(tint)


def _frame(left: float, top: float, right: float, bottom: float, colour) -> Rectangle:
    # Pixel 0 reaches from -0.5 to 0.5 on a picture's axes.
    corner = (left - 0.5, top - 0.5)
    return Rectangle(
        corner, right - left, bottom - top, fill=False, edgecolor=colour, linewidth=1.2
    )
