"""Figures of a suite: accuracy over cost, activation rate over depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

# Wong's palette: distinguishable with any colour vision.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


def spread(heights: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move heights as little as needed for a gap between all of them.

    Args:
        heights: Ascending.
        gap: Least difference of neighbours; they must fit between the bounds.
        low: Lower bound.
        high: Upper bound.

    Returns:
        The new heights, ascending.
    """
    moved = list(heights)
    for index in range(len(moved)):
        moved[index] = max(moved[index], moved[index - 1] + gap if index else low)
    for index in reversed(range(len(moved))):
        moved[index] = min(moved[index], moved[index + 1] - gap if moved[index + 1 :] else high)
    return moved


def draw_accuracy_cost(
    points: Mapping[str, tuple[float, float]],
    groups: Mapping[str, str],
    dense: float | None = None,
) -> Figure:
    """Draw one point per method, mean accuracy over measured cost, named on the right.

    Args:
        points: MFLOPs per image and accuracy in % by the method's title.
        groups: A name for the legend by the method's title.
        dense: MFLOPs of the plain model, drawn as a line. Defaults to ``None``:
            no line.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(9.4, 6.0), layout="constrained")
    axes = figure.subplots()
    if dense is not None:
        axes.axvline(dense, color="#999999", linestyle=":", label="plain model's cost")
    colours = dict(zip(dict.fromkeys(groups.values()), COLOURS))
    for name, colour in colours.items():
        chosen = [points[title] for title in points if groups[title] == name]
        axes.scatter(*zip(*chosen), color=colour, label=name, zorder=3)
    titles = sorted(points, key=lambda title: points[title][1])
    accuracies = [points[title][1] for title in titles]
    room = (accuracies[-1] - accuracies[0]) or 1.0
    low, high = accuracies[0] - room / 20, accuracies[-1] + room / 20
    for title, height in zip(titles, spread(accuracies, room / 24, low, high)):
        axes.annotate(
            title,
            points[title],
            xytext=(1.02, height),
            textcoords=("axes fraction", "data"),
            arrowprops=dict(
                arrowstyle="-",
                color=colours[groups[title]],
                lw=0.5,
                alpha=0.6,
                relpos=(0, 0.5),
                shrinkA=0,
            ),
            fontsize=8.5,
            va="center",
        )
    axes.set(
        xlabel="MFLOPs per image (multiply-adds, from the real masks)",
        ylabel="accuracy, %, mean of the groups",
        ylim=(low, high),
    )
    axes.grid(alpha=0.3)
    figure.legend(loc="outside upper center", ncols=len(colours) + 1, fontsize=8.5)
    return figure


def draw_rates_by_layer(
    rates: Mapping[str, Sequence[Sequence[float]]], targets: Mapping[str, float]
) -> Figure:
    """Draw one line per method: activation rate over depth.

    Args:
        rates: By title, the rates of all dispatchers of each run, in the order
            of the layers.
        targets: The rate that training aimed at, by title.

    Returns:
        The figure; bands go from the lowest run to the highest.
    """
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    for index, (title, runs) in enumerate(rates.items()):
        colour = COLOURS[index % len(COLOURS)]
        style = ("-", "--", "-.")[index // len(COLOURS) % 3]
        columns = list(zip(*runs))  # a column is a layer
        layers = range(1, len(columns) + 1)
        means = [sum(column) / len(column) for column in columns]
        label = f"{title} (measured {sum(means) / len(means):.2f})"
        axes.plot(layers, means, style, marker="o", color=colour, label=label)
        axes.fill_between(
            layers, list(map(min, columns)), list(map(max, columns)), color=colour, alpha=0.1
        )
        axes.axhline(targets[title], color=colour, linestyle=":", linewidth=1)
    axes.set(xlabel="layer", ylabel="activation rate", ylim=(-0.02, 1.02))
    axes.set_xticks(list(layers))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure
