"""One input at a glance: what was predicted, and which patches each layer computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from mmdyt.visualization.seg_panel import colour_mask
from mmdyt.visualization.text import class_name, legend_as_written
from mmdyt.visualization.token_maps import LEGEND, clear_ticks, draw_token_map
from mmdyt.visualization.video_strip import draw_strip

COLUMNS = 5
MOST_COLUMNS = 8  # of a strip


def describe_prediction(result: Mapping[str, Any], classes: Sequence[str] | None = None) -> str:
    """Say a prediction in a few words.

    Args:
        result: One of :func:`mmdyt.inferencer`.
        classes: Names, for segmentation. Defaults to ``None``: their numbers.

    Returns:
        ``'cat (0.93)'``, or the classes of a segmentation with their shares.
    """
    if "pred_label" in result:
        name = result.get("pred_class", f"class {result['pred_label']}")
        return f"{name} ({result['pred_score']:.2f})"
    labels, counts = np.unique(result["pred_sem_seg"], return_counts=True)
    shares = sorted(zip(counts / counts.sum(), labels), reverse=True)
    return ", ".join(
        f"{class_name(label, classes)} {share:.0%}" for share, label in shares[:4] if share >= 0.005
    )


def draw_prediction(
    result: Mapping[str, Any],
    name: str = "",
    classes: Sequence[str] | None = None,
    palette: Sequence[Sequence[int]] | None = None,
) -> Figure:
    """Draw an input as the model saw it, its segmentation, and the map of every layer.

    Args:
        result: One of :func:`mmdyt.inferencer` with ``token_maps=True``.
        name: Name of the input, for the title. Defaults to none.
        classes: Names, for segmentation. Defaults to ``None``: their numbers.
        palette: RGB colour of every class. Defaults to ``None``:
            :func:`default_palette`.

    Returns:
        The figure; of several frames or windows, a strip of up to eight of them.
    """
    rate = result["activation_rate"]
    said = "" if rate is None else f"activation rate {rate:.2f}, "
    title = f"{name}: {describe_prediction(result, classes)}\n{said}{result['gflops']:.4g} GFLOPs"
    images, maps = result["images"], result["token_maps"]
    if len(images) > 1:
        chosen = np.linspace(0, len(images) - 1, min(len(images), MOST_COLUMNS)).round().astype(int)
        shown = {layer: masks[chosen] for layer, masks in maps.items()}
        unit = "window" if "pred_sem_seg" in result else "frame"
        return draw_strip(images[chosen], shown, title, unit)
    return _draw_grid(result, images[0], title, classes, palette)


def _draw_grid(
    result: Mapping[str, Any],
    image: NDArray,
    title: str,
    classes: Sequence[str] | None,
    palette: Sequence[Sequence[int]] | None,
) -> Figure:
    segmented = "pred_sem_seg" in result
    cells = len(result["token_maps"]) + 1 + segmented
    rows, columns = ceil(cells / COLUMNS), min(cells, COLUMNS)
    tall = image.shape[0] / image.shape[1]
    size = (2.1 * columns, rows * (2.1 * tall + 0.35) + 0.8)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    axes[0].imshow(image)
    axes[0].set_title("input", fontsize=9)
    if segmented:
        mask = result["pred_sem_seg"]
        count = max(len(classes or ()), int(mask.max()) + 1)
        _draw_segmentation(figure, axes[1], mask, classes, palette or default_palette(count))
    for axis, (layer, masks) in zip(axes[1 + segmented :], result["token_maps"].items()):
        draw_token_map(axis, image, masks[0])
        axis.set_title(layer, fontsize=9)
    for axis in axes[cells:]:
        axis.set_visible(False)
    clear_ticks(figure)
    figure.suptitle(title, fontsize=10, parse_math=False)
    if result["token_maps"]:
        figure.supxlabel(LEGEND, fontsize=8)
    return figure


def _draw_segmentation(
    figure: Figure,
    axis: Any,
    mask: NDArray,
    classes: Sequence[str] | None,
    palette: Sequence[Sequence[int]],
) -> None:
    axis.imshow(colour_mask(mask, palette))
    axis.set_title("prediction", fontsize=9)
    handles = []
    for label in np.unique(mask):
        red, green, blue = palette[label]
        colour = (red / 255, green / 255, blue / 255)
        handles.append(Patch(color=colour, label=class_name(label, classes)))
    legend_as_written(figure, handles, loc="outside right upper", fontsize=8)


def default_palette(num_classes: int) -> list[list[int]]:
    """RGB colours of matplotlib's ``tab20``, spread over the classes."""
    colours = colormaps["tab20"].resampled(num_classes)
    return [[round(255 * part) for part in colours(index)[:3]] for index in range(num_classes)]
