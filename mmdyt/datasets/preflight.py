"""Look at every file of a data set before the first training step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from rich.progress import track


class Problem(NamedTuple):
    """Something that would stop a run later.

    Args:
        sample: Path of the image, or the sample's number.
        kind: ``'missing'``, ``'unreadable'`` or ``'label'``.
        detail: What is wrong, for a person.
    """

    sample: str
    kind: str
    detail: str


def find_problems(dataset, num_classes: int | None = None, decode: bool = True) -> list[Problem]:
    """List everything that would stop a run later.

    Args:
        dataset: A data set of mmengine's interface; of images in memory only
            the labels are checked, and data sets without ``get_data_info`` are
            passed over.
        num_classes: Labels must lie in ``[0, num_classes)``. Defaults to
            ``None``: not checked.
        decode: Whether to decode each image instead of only looking for the
            file. Defaults to ``True``.

    Returns:
        The problems, in the order of the data set; a sample may have several.
    """
    if not hasattr(dataset, "get_data_info"):
        return []

    def problems(index: int) -> list[Problem]:
        sample = dataset.get_data_info(index)
        path = sample.get("img_path")
        name = path or f"sample {index}"
        found = []
        if num_classes is not None and sample.get("gt_label") is not None:
            for label in np.atleast_1d(sample["gt_label"]):  # multi-label data sets have several
                if not 0 <= int(label) < num_classes:
                    detail = f"label {label} is outside [0, {num_classes})"
                    found.append(Problem(name, "label", detail))
        # Remote storage has its own errors; looking there is not free.
        if path is not None and "://" not in path and (bad := _unreadable(path, decode)):
            found.append(bad)
        return found

    with ThreadPoolExecutor() as pool:
        checked = pool.map(problems, range(len(dataset)))
        progress = track(checked, "Checking images", total=len(dataset), transient=True)
        return [problem for found in progress for problem in found]


def _unreadable(path: str, decode: bool) -> Problem | None:
    if not Path(path).is_file():
        return Problem(path, "missing", "missing")
    if decode:
        try:
            with Image.open(path) as image:
                image.load()
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            return Problem(path, "unreadable", f"unreadable ({error})")
    return None


def report(problems: Sequence[Problem], where: str, shown: int = 20) -> str:
    """Put problems into one message.

    Args:
        problems: What :func:`find_problems` found.
        where: What was checked, such as a config key.
        shown: How many to name at most. Defaults to 20.

    Returns:
        A line of counts, and one line a problem.
    """
    kinds = Counter(problem.kind for problem in problems)
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    lines = [f"{problem.sample}: {problem.detail}" for problem in problems[:shown]]
    if len(problems) > shown:
        lines.append(f"... and {len(problems) - shown} more")
    samples = len({problem.sample for problem in problems})
    return f"{where} has {samples} bad samples ({counts}):\n  " + "\n  ".join(lines)
