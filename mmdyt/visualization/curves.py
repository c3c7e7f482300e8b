"""Training curves out of mmengine's scalar logs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure


def read_scalars(work_dir: str | Path) -> list[dict]:
    """Read the newest ``vis_data/scalars.json`` of a run.

    Args:
        work_dir: Work dir of a run with mmengine's ``LocalVisBackend``.

    Returns:
        One dict a logged step, oldest first.

    Raises:
        FileNotFoundError: If the run logged nothing.
    """
    logs = sorted(Path(work_dir).glob("*/vis_data/scalars.json"))
    if not logs:
        raise FileNotFoundError(f"no */vis_data/scalars.json below {work_dir}")
    return [json.loads(line) for line in logs[-1].read_text().splitlines()]


def draw_curves(runs: Mapping[str, Sequence[dict]], keys: Mapping[str, str]) -> Figure:
    """Draw one panel per quantity and one line per run.

    Args:
        runs: Logged steps by the name of the run, as :func:`read_scalars`.
        keys: Title of the panel by the key in the log, such as
            ``{'loss': 'training loss'}``. Runs without a key have no line.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(4.2 * len(keys), 3.4), layout="constrained")
    for axes, (key, title) in zip(figure.subplots(1, len(keys), squeeze=False)[0], keys.items()):
        for name, log in runs.items():
            points = [(entry["step"], entry[key]) for entry in log if key in entry]
            if points:
                axes.plot(*zip(*points), marker=".", label=name)
        axes.set(title=title, xlabel="step")
        axes.grid(alpha=0.3)
        axes.legend()
    return figure
