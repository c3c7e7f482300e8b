"""Names of users' classes, files and runs in figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend


def legend_as_written(owner: Axes | Figure, handles: Sequence[Artist], **style: Any) -> Legend:
    """Add a legend whose names are shown as they are.

    matplotlib leaves out names that begin with ``_``, and takes what stands between
    dollar signs for a formula.

    Args:
        owner: What the legend belongs to.
        handles: Lines and patches, each with its label.
        **style: Arguments of ``legend``.

    Returns:
        The legend.
    """
    legend = owner.legend(handles, ["."] * len(handles), **style)
    for text, handle in zip(legend.get_texts(), handles):
        text.set_parse_math(False)
        text.set_text(str(handle.get_label()))
    return legend


def class_name(label: int, classes: Sequence[str] | None) -> str:
    """Name a class.

    Args:
        label: Its number.
        classes: Names of the classes, where they are known.

    Returns:
        Its name, or ``'class 3'``.
    """
    return classes[label] if classes and label < len(classes) else f"class {label}"
