"""Write scikit-learn's real handwritten digits as images and list files.

1,797 scans of 8 x 8 px come with scikit-learn, so nothing is downloaded. The
layout is that of VTAB-1K: ``images/*.png`` and ``train800.txt``,
``val200.txt``, ``train800val200.txt``, ``test.txt`` with ``path label`` a line.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track
from sklearn.datasets import load_digits

from mmdyt.fileio import atomic_path


def write_digits(root: Path, seed: int = 0) -> None:
    """Write the data set; files that are there are kept.

    Args:
        root: Folder to write to.
        seed: Seed of the split. Defaults to 0.
    """
    digits = load_digits()
    paths = [f"images/{index:04d}.png" for index in range(len(digits.target))]
    for path, scan in track(list(zip(paths, digits.images)), "Writing digits", transient=True):
        if not (root / path).exists():
            with atomic_path(root / path) as temporary:
                Image.fromarray((scan * 255 / 16).astype(np.uint8)).save(temporary)
    order = np.random.default_rng(seed).permutation(len(paths))
    splits = {
        "train800": order[:800],
        "val200": order[800:1000],
        "train800val200": order[:1000],
        "test": order[1000:],
    }
    for name, members in splits.items():
        with atomic_path(root / f"{name}.txt") as temporary:
            temporary.write_text("".join(f"{paths[i]} {digits.target[i]}\n" for i in members))
