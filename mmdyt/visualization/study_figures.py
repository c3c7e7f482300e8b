"""Figures of a suite: accuracy over cost, activation rate over depth, sample images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from numpy.typing import NDArray

# Wong's palette: told apart with any colour vision.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


def draw_accuracy_cost(
    points: Mapping[str, tuple[float, float]], groups: Mapping[str, str], dense: float
) -> Figure:
    """Draw one point a method: mean accuracy over measured cost.

    Args:
        points: MFLOPs an image and accuracy in % by the method's title.
        groups: A name for the legend by the method's title.
        dense: MFLOPs of the plain model, drawn as a line.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(8.6, 5.4), layout="constrained")
    axes = figure.subplots()
    axes.axvline(dense, color="#999999", linestyle=":", label="plain model's cost")
    names = list(dict.fromkeys(groups.values()))
    for name, colour in zip(names, COLOURS):
        chosen = [points[title] for title in points if groups[title] == name]
        axes.scatter(*zip(*chosen), color=colour, label=name, zorder=3)
    # Labels left of their points go to points right of the dense line, where room ends.
    taken: list[tuple[float, float]] = []
    low, high = (bound([cost for cost, _ in points.values()]) for bound in (min, max))
    floor, top = (bound([accuracy for _, accuracy in points.values()]) for bound in (min, max))
    for title, (cost, accuracy) in sorted(points.items(), key=lambda item: item[1][1]):
        height = accuracy
        while any(
            abs(height - y) < (top - floor) / 32 and abs(cost - x) < (high - low) / 3.2
            for x, y in taken
        ):
            height += (top - floor) / 64
        taken.append((cost, height))
        axes.annotate(
            title,
            (cost, accuracy),
            xytext=(cost + (high - low) / 70, height),
            fontsize=7.5,
            va="center",
        )
    axes.set(
        xlabel="MFLOPs an image (multiply-adds, measured from the real masks)",
        ylabel="accuracy, %, mean of the groups",
        xlim=(low - (high - low) * 0.05, high + (high - low) * 0.22),
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    return figure


def draw_rates_by_layer(
    rates: Mapping[str, Sequence[Sequence[float]]], targets: Mapping[str, float]
) -> Figure:
    """Draw one line a method: activation rate over depth.

    Args:
        rates: By title, the rates of all dispatchers of each run, in the order
            of the layers.
        targets: The rate that training aimed at, by title.

    Returns:
        The figure; bands go from the lowest run to the highest.
    """
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    for (title, runs), colour in zip(rates.items(), COLOURS):
        columns = list(zip(*runs))  # a column is a layer
        layers = range(1, len(columns) + 1)
        means = [sum(column) / len(column) for column in columns]
        label = f"{title} (measured {sum(means) / len(means):.2f})"
        axes.plot(layers, means, marker="o", color=colour, label=label)
        axes.fill_between(
            layers, list(map(min, columns)), list(map(max, columns)), color=colour, alpha=0.1
        )
        axes.axhline(targets[title], color=colour, linestyle=":", linewidth=1)
    axes.set(xlabel="layer", ylabel="activation rate", ylim=(-0.02, 1.02))
    axes.set_xticks(list(layers))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def draw_samples(images: Mapping[str, NDArray], captions: Mapping[str, Sequence[str]]) -> Figure:
    """Draw one row a task, one column an image.

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
