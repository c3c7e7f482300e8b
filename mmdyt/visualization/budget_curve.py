"""Accuracy over GFLOPs of every budget of a model, and what its layers make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

CURVES = {"threshold": "#4477aa", "capacity": "#66ccee"}
OTHERS = ("#ee6677", "#ccbb44", "#aa3377")


def draw_budget_curve(
    budgets: Mapping[str, Any], others: Mapping[str, Sequence[Mapping[str, float]]] | None = None
) -> Figure:
    """Draw a table of budgets beside other ways to save.

    Args:
        budgets: The content of ``budgets.json``.
        others: Points of further curves by their name, each with ``gflops`` and
            ``accuracy``, in the order of the line. Defaults to ``None``.

    Returns:
        The figure: accuracy over GFLOPs, and the rate of each dispatcher.
    """
    points = budgets["points"]
    columns = list(points[0]["rates"])
    width = max(4.0, 0.45 * len(columns) + 1.5)
    figure = Figure(figsize=(6.5 + width, 4.2), layout="constrained")
    curve, layers = figure.subplots(1, 2, width_ratios=[6.5, width])

    def line(name: str, data: Sequence[Mapping[str, float]], **style: Any) -> None:
        axis = [[point[key] for point in data] for key in ("gflops", "accuracy")]
        curve.plot(*axis, marker=".", label=name, **style)

    line("DyT, threshold shifted", points, color=CURVES["threshold"])
    if static := [point["capacity"] for point in points if "capacity" in point]:
        line("DyT, equal tokens an image", static, color=CURVES["capacity"], linestyle="--")
    for (name, data), color in zip((others or {}).items(), OTHERS):
        line(name, data, color=color)
    trained = budgets["trained"]
    label = f"DyT as trained (rate {trained['rate']:.2f})"
    place = (trained["gflops"], trained["accuracy"])
    curve.plot(*place, "*", markersize=13, color="#222222", label=label, zorder=3)
    curve.set(xlabel="GFLOPs a sample", ylabel=budgets["metric"])
    curve.grid(alpha=0.3)
    curve.legend()

    rates = [[point["rates"][name] for name in columns] for point in points]
    layers.imshow(rates, vmin=0, vmax=1, cmap="Blues", aspect="auto", origin="lower")
    for row, values in enumerate(rates):
        for column, value in enumerate(values):
            color = "white" if value > 0.6 else "black"
            layers.text(column, row, f"{value:.2f}", ha="center", va="center", color=color, size=8)
    layers.set(xticks=range(len(columns)), yticks=range(len(points)), xlabel="dispatcher")
    layers.set_xticklabels([name.replace("_", " ") for name in columns], rotation=45)
    layers.set_yticklabels([f"{point['rate']:.2f}" for point in points])
    layers.set(ylabel="rate of the whole model", title="activation rate")
    return figure
