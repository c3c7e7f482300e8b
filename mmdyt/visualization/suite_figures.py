"""Figures of a suite: accuracy over cost, activation rate over depth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mmdyt.visualization.text import legend_as_written

# Wong's palette: distinguishable with any colour vision.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def draw_accuracy_cost(
    points: Mapping[str, tuple[float, float]],
    groups: Mapping[str, str],
    dense: float | None = None,
    unit: str = "GFLOPs",
    metric: str = "accuracy, %, mean of the groups",
    curves: Mapping[str, Sequence[tuple[float, float]]] | None = None,
) -> Figure:
    """Draw one point per method: accuracy over measured cost.

    Args:
        points: Cost per sample and accuracy by the method's title.
        groups: A name for the group by the method's title; groups differ in colour,
            the methods of one in their marker.
        dense: Cost of the plain model, drawn as a line. Defaults to ``None``: no line.
        unit: Unit of the costs. Defaults to ``'GFLOPs'``.
        metric: What to call the accuracy. Defaults to ``'accuracy, %, mean of
            the groups'``.
        curves: Points of methods that were measured at several costs, by their
            names, in order; drawn as lines. Defaults to ``None``.

    Returns:
        The figure; its legend lists the methods from the most accurate down.
    """
    titles = sorted(points, key=lambda title: -points[title][1])
    figure = Figure(figsize=(5.4, 3.4 + 0.2 * len(titles)), layout="constrained")
    axes = figure.subplots()
    handles: list[Line2D] = []
    if dense is not None:
        label = "plain model's cost"
        handles.append(axes.axvline(dense, color="#999999", linestyle=":", label=label))
    colours = dict(zip(dict.fromkeys(groups.values()), cycle(COLOURS)))
    markers = {name: cycle(MARKERS) for name in colours}
    for title in titles:
        group = groups[title]
        label = f"{title} ({group})" if group else title
        marker = next(markers[group])
        handles += axes.plot(*points[title], marker, color=colours[group], label=label)
    for name, line in (curves or {}).items():
        handles += axes.plot(*zip(*line), marker=".", color="#666666", zorder=1, label=name)
    axes.set(xlabel=f"{unit} per sample, from the real masks", ylabel=metric)
    axes.margins(0.08)
    axes.grid(alpha=0.3)
    legend_as_written(figure, handles, loc="outside lower center", ncols=1, fontsize=9.5)
    return figure


def draw_rates_by_layer(
    rates: Mapping[str, Sequence[Sequence[float]]], targets: Mapping[str, float]
) -> Figure:
    """Draw one line per method: activation rate over depth.

    Args:
        rates: By title, the rates of all layers of each run, NaN of those without
            dispatchers.
        targets: The rate that training aimed at, by title, where it is known.

    Returns:
        The figure; bands go from the lowest run to the highest.
    """
    figure = Figure(figsize=(5.4, 4.0), layout="constrained")
    axes = figure.subplots()
    handles: list[Line2D] = []
    for index, (title, runs) in enumerate(rates.items()):
        colour = COLOURS[index % len(COLOURS)]
        style = ("-", "--", "-.")[index // len(COLOURS) % 3]
        columns = list(zip(*runs))  # a column is a layer
        layers = range(len(columns))
        means = [sum(column) / len(column) for column in columns]
        dispatched = [mean for mean in means if not math.isnan(mean)]
        label = f"{title} (measured {sum(dispatched) / len(dispatched):.2f})"
        handles += axes.plot(layers, means, style, marker="o", color=colour, label=label)
        axes.fill_between(
            layers, list(map(min, columns)), list(map(max, columns)), color=colour, alpha=0.1
        )
        if title in targets:
            axes.axhline(targets[title], color=colour, linestyle=":", linewidth=1)
    axes.set(xlabel="layer, counted from 0", ylabel="activation rate", ylim=(-0.02, 1.02))
    axes.set_xticks(list(layers))
    axes.grid(alpha=0.3)
    legend_as_written(axes, handles, fontsize=8)
    return figure
