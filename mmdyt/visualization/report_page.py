"""A page of HTML that holds its pictures and needs nothing else."""

from __future__ import annotations

import base64
import io
from importlib import resources
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

MOST_LABELS = 30


def figure_uri(figure: Figure) -> str:
    """Turn a figure into a ``data:`` address of an SVG."""
    out = io.BytesIO()
    figure.savefig(out, format="svg")
    return f"data:image/svg+xml;base64,{base64.b64encode(out.getvalue()).decode()}"


def image_uri(image: NDArray) -> str:
    """Turn an image, ``(H, W, 3)``, uint8, into a ``data:`` address of a PNG."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(out, format="png")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"


def viewer_data(maps: dict[str, Any], budgets: list[str]) -> dict[str, Any]:
    """Pack token maps for the script of the page.

    Args:
        maps: As :func:`mmdyt.engine.run_pictures.token_maps`.
        budgets: What to call each budget.

    Returns:
        Plain values: images as addresses, each map as rows of zeros and ones.
    """
    rows = [[grids.astype(int).tolist() for grids in layers] for layers in maps["maps"]]
    images = list(map(image_uri, maps["images"]))
    return dict(
        images=images, captions=maps["captions"], layers=maps["layers"], budgets=budgets, maps=rows
    )


def draw_confusion(matrix: NDArray, classes: list[str]) -> Figure:
    """Draw a confusion matrix, each row as shares of its true class.

    Args:
        matrix: Counts, truth by prediction, ``(K, K)``.
        classes: Names of the ``K`` classes.

    Returns:
        The figure; names and counts are written where there is room.
    """
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    few = len(classes) <= MOST_LABELS
    side = 2.4 + 0.36 * len(classes) if few else 6.0
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if few:
        places = range(len(classes))
        axes.set_xticks(places, classes, rotation=90, fontsize=8, parse_math=False)
        axes.set_yticks(places, classes, fontsize=8, parse_math=False)
        for (row, column), count in np.ndenumerate(matrix):
            colour = "white" if shares[row, column] > 0.6 else "black"
            if count:
                axes.text(column, row, str(count), ha="center", va="center", size=7, color=colour)
    axes.set(xlabel="predicted", ylabel="true")
    return figure


def render_page(**content: Any) -> str:
    """Fill the template; whatever is filled in is escaped.

    Args:
        **content: What ``report.html`` names.

    Returns:
        The page.
    """
    template = resources.files("mmdyt.visualization").joinpath("report.html").read_text("utf-8")
    return (
        Environment(autoescape=True, undefined=StrictUndefined)
        .from_string(template)
        .render(**content)
    )
