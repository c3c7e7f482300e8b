"""Training curves out of mmengine's scalar logs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mmdyt.visualization.text import legend_as_written

TASK_LOSS = "task_loss"


def read_scalars(work_dir: str | Path) -> list[dict]:
    """Read the ``vis_data/scalars.json`` of a run and of those that resumed it.

    ``task_loss`` is added to what training logged: the loss of the method's
    task alone, on the dynamic model where there is dispatch. That can be compared
    between methods; ``loss`` of DyT is a sum of four terms.

    Args:
        work_dir: Work dir of a run with mmengine's ``LocalVisBackend``.

    Returns:
        One dict a logged step, oldest first. A newer run counts from its first
        step on: what an older one logged beyond is of another training.

    Raises:
        FileNotFoundError: If the run logged nothing.
    """
    logs = sorted(Path(work_dir).glob("*/vis_data/scalars.json"))
    if not logs:
        raise FileNotFoundError(f"no */vis_data/scalars.json below {work_dir}")
    entries: dict[tuple, dict] = {}
    last: dict = {}
    for log in logs:
        own: dict[tuple, dict] = {}
        for line in log.read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:  # cut off: the run was killed, or its disk was full
                continue
            if "loss" in entry:
                dynamic = [v for k, v in entry.items() if k.startswith("dynamic.") and "loss" in k]
                entry[TASK_LOSS] = sum(dynamic) if dynamic else entry["loss"]
                last = entry
            elif "epoch" not in last:  # mmengine may have counted epochs in a run that has none
                entry["step"] = max(entry["step"], last.get("step", 0))
            own["loss" in entry, entry["step"]] = entry
        trained = [own[key] for key in sorted(own) if key[0]]
        if trained:  # from here on, in iterations and, for tests, in epochs
            ends = {True: trained[0]["step"], False: trained[0].get("epoch", trained[0]["step"])}
            entries = {key: entry for key, entry in entries.items() if key[1] < ends[key[0]]}
        entries |= own
    return [entries[key] for key in sorted(entries)]


def positions(log: Sequence[dict]) -> tuple[list[float], str]:
    """Place logged steps on one axis: mmengine counts iterations in training, epochs in tests.

    Args:
        log: As :func:`read_scalars`.

    Returns:
        A number a step, and its unit: ``'epoch'``, or ``'iteration'`` for runs that
        have no epochs.
    """
    trained = [entry for entry in log if "epoch" in entry]
    if not trained:
        return [entry["step"] for entry in log], "iteration"
    per_epoch = max(entry["iter"] / entry["epoch"] for entry in trained)
    return [
        entry["iter"] / per_epoch if "epoch" in entry else entry["step"] for entry in log
    ], "epoch"


def draw_curves(runs: Mapping[str, Sequence[dict]], keys: Mapping[str, str]) -> Figure:
    """Draw one panel per quantity and one line per run.

    Args:
        runs: Logged steps by the name of the run, as :func:`read_scalars`.
        keys: Title of the panel by the key in the log, such as
            ``{'task_loss': 'training loss of the task'}``. Runs without a key
            have no line.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(4.2 * len(keys), 3.4), layout="constrained")
    for axes, (key, title) in zip(figure.subplots(1, len(keys), squeeze=False)[0], keys.items()):
        unit, lines = "", []
        for name, log in runs.items():
            places, unit = positions(log)
            points = [(place, entry[key]) for place, entry in zip(places, log) if key in entry]
            if points:
                lines += axes.plot(*zip(*points), marker=".", label=name)
        axes.set(title=title, xlabel=unit)
        axes.grid(alpha=0.3)
        if lines:
            legend_as_written(axes, lines)
    return figure
