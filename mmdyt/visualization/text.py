"""Names of users' classes, files and runs in figures."""

from __future__ import annotations

from matplotlib.legend import Legend


def as_written(legend: Legend) -> None:
    """Show the names of a legend as they are: their dollar signs begin no formula.

    Args:
        legend: The legend, changed in place.
    """
    for text in legend.get_texts():
        text.set_parse_math(False)
