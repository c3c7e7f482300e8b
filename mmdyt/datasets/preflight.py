"""Look at every file of a data set before the first training step."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track


def find_problems(dataset, num_classes: int | None = None, decode: bool = True) -> list[str]:
    """List everything that would stop a run later.

    Args:
        dataset: A data set of mmengine's interface; samples without
            ``img_path`` (images in memory) have only their labels checked.
        num_classes: Labels must lie in ``[0, num_classes)``. Defaults to
            ``None``: not checked.
        decode: Whether to decode each image instead of only looking for the
            file. Defaults to ``True``.

    Returns:
        One line a problem: file and reason.
    """
    samples = [dataset.get_data_info(index) for index in range(len(dataset))]

    def problem(sample: dict) -> str | None:
        label = sample.get("gt_label")
        name = sample.get("img_path", f"sample {sample['sample_idx']}")
        if num_classes is not None and label is not None:
            for each in np.atleast_1d(label):  # multi-label data sets have several
                if not 0 <= int(each) < num_classes:
                    return f"{name}: label {int(each)} is outside [0, {num_classes})"
        return _unreadable(name, decode) if "img_path" in sample else None

    with ThreadPoolExecutor() as pool:
        checked = pool.map(problem, samples)
        progress = track(checked, "Checking images", total=len(samples), transient=True)
        return [found for found in progress if found is not None]


def _unreadable(path: str, decode: bool) -> str | None:
    if not Path(path).is_file():
        return f"{path}: missing"
    if decode:
        try:
            with Image.open(path) as image:
                image.load()
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            return f"{path}: unreadable ({error})"
    return None


def report(problems: list[str], where: str, shown: int = 20) -> str:
    """Put problems into one message.

    Args:
        problems: Lines of :func:`find_problems`.
        where: What was checked, such as a config key.
        shown: How many lines to print at most. Defaults to 20.
    """
    kinds = Counter(line.rsplit(": ", 1)[-1].split(" ")[0] for line in problems)
    lines = problems[:shown] + ([f"... and {len(problems) - shown} more"] * (len(problems) > shown))
    summary = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return f"{where} has {len(problems)} bad samples ({summary}):\n  " + "\n  ".join(lines)
