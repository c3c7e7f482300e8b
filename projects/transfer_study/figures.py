"""Sample images of the study's tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from numpy.typing import NDArray


def draw_samples(images: Mapping[str, NDArray], captions: Mapping[str, Sequence[str]]) -> Figure:
    """Draw one row per task, one column per image.

    Args:
        images: Grey images, ``(B, H, W)``, uint8, by the task's title; every
            task has as many.
        captions: A text for every image, by the task's title.

    Returns:
        The figure.
    """
    columns = len(next(iter(images.values())))
    figure = Figure(figsize=(1.0 * columns + 1.4, 1.15 * len(images)), layout="constrained")
    axes = figure.subplots(len(images), columns, squeeze=False)
    for row, (title, batch) in enumerate(images.items()):
        axes[row, 0].set_ylabel(title, rotation=0, ha="right", va="center")
        for column, image in enumerate(batch):
            axes[row, column].imshow(image, cmap="gray", vmin=0, vmax=255)
            axes[row, column].set_xlabel(captions[title][column], fontsize=8, labelpad=1)
            axes[row, column].set(xticks=[], yticks=[])
    return figure
