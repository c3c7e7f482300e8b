"""Write docs/model_zoo.md from model-index.yml: our results first, then the paper's."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from mmdyt.engine.cli import tool
from mmdyt.fileio import atomic_path

PAGE = """\
# Model zoo

**Ours** are the results of the first table only: trained, tested and shipped here, with weights in
the repository. Every other accuracy below is **the paper's** (DyT's, NeurIPS 2024), or of the
papers that it compares with, copied to have it beside the config: no ImageNet-21k weights were at
hand, and none of those configs was trained to the end here. GFLOPs and parameters are ours
throughout: counted on the model that the config builds, multiply-adds once, DyT at its target rate.

`{command}` writes this page from `model-index.yml`.

## Measured here

{measured}

What was measured here with models trained in minutes on small real data stands on its own pages:
[the transfer study](transfer_study.md), [segmentation](segmentation.md), [video](video.md) and
[detection](detection.md). Speed: [performance](performance.md).

## The paper's figures beside our configs

One row a family: the configs of the other data sets in it have the same model and another head.

{papers}

## Configs without a figure

{others}
"""
COMMAND = "python tools/analysis_tools/model_zoo.py"
PREFIX = "Paper's "


def read_models(index: Path) -> list[dict[str, Any]]:
    """Read the entries of all metafiles.

    Args:
        index: ``model-index.yml``.

    Returns:
        One dict a model, as its metafile has it.
    """
    names = yaml.safe_load(index.read_text())["Import"]
    return [
        model
        for name in names
        for model in yaml.safe_load((index.parent / name).read_text())["Models"]
    ]


def markdown_table(models: Iterable[dict[str, Any]], figures: str | None) -> str:
    """Write models as a table.

    Args:
        models: Entries of metafiles.
        figures: Heading of the column with their results, ``None`` for none.

    Returns:
        Markdown.
    """
    headings = ["config", "GFLOPs", "parameters, M", "trained, M", *([figures] if figures else [])]
    lines = [f"| {' | '.join(headings)} |", f"| --- |{' ---: |' * 3}{' --- |' if figures else ''}"]
    for model in models:
        data = model["Metadata"]
        row = [f"`{model['Config']}`", f"{data['FLOPs'] / 1e9:.4g}"]
        row += [f"{data[key] / 1e6:.3f}" for key in ("Parameters", "Trained")]
        if figures:
            row.append("; ".join(results(model)))
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def results(model: dict[str, Any]) -> list[str]:
    """Name each result of a model with its data set."""
    return [
        f"{result['Dataset']} {metric.removeprefix(PREFIX)} {value:.2f}"
        for result in model.get("Results", [])
        for metric, value in result["Metrics"].items()
    ]


def write_page(models: list[dict[str, Any]]) -> str:
    """Write the page.

    Args:
        models: What :func:`read_models` gives.

    Returns:
        Markdown.
    """
    measured = [model for model in models if model["Metadata"]["Status"] == "measured"]
    rest = [model for model in models if model not in measured]
    return PAGE.format(
        command=COMMAND,
        measured=markdown_table(measured, "our result"),
        papers=markdown_table([m for m in rest if m.get("Results")], "the paper's, not ours"),
        others=markdown_table([m for m in rest if not m.get("Results")], None),
    )


@tool
def main() -> None:
    """Write the page into docs/."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with atomic_path("docs/model_zoo.md") as path:
        path.write_text(write_page(read_models(Path("model-index.yml"))))


if __name__ == "__main__":
    main()
