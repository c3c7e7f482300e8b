"""Activation rate per layer, as bars."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure


def draw_rate_bars(rates: Mapping[str, float], target: float | None = None) -> Figure:
    """Draw one bar per dispatcher.

    Args:
        rates: Mean activation rate in [0, 1] by name, in the order of the
            layers.
        target: The rate that training aimed at, drawn as a line. Defaults to
            ``None``.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(max(4.0, 0.7 * len(rates) + 1.5), 3.2), layout="constrained")
    axes = figure.subplots()
    bars = axes.bar(list(rates), list(rates.values()), color="#4477aa")
    axes.bar_label(bars, fmt="%.2f", padding=2)
    mean = sum(rates.values()) / len(rates)
    axes.axhline(mean, color="#222222", linestyle=":", label=f"mean {mean:.2f}")
    if target is not None:
        axes.axhline(target, color="#ee6677", linestyle="--", label=f"target {target:.2f}")
    axes.set(
        ylim=(0, 1.1),
        xlabel="dispatcher: layer, counted from 0, and branch",
        ylabel="activation rate",
    )
    axes.tick_params(axis="x", rotation=45 if len(rates) > 8 else 0)
    axes.legend(loc="upper right")
    return figure
