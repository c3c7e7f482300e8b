"""Boxes and masks of the items in the composed Fashion-MNIST scenes.

The scenes are those of :mod:`mmdyt.datasets.fashion_scenes`: one item a quadrant,
so that what a quadrant's mask shows is one object.
"""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmdyt.datasets.fashion_scenes import CLASSES, NUM_SCENES, write_fashion_scenes
from mmdyt.fileio import atomic_path


def run_lengths(mask: NDArray) -> dict[str, list[int]]:
    """Encode a mask as COCO does without compression.

    Args:
        mask: ``(H, W)``, bool.

    Returns:
        ``size`` and ``counts``: lengths of the runs of zeros and ones down the
        columns, zeros first.
    """
    runs = [(value, len(list(group))) for value, group in groupby(mask.ravel(order="F").tolist())]
    counts = [length for _, length in runs]
    return dict(size=list(mask.shape), counts=[0, *counts] if runs[0][0] else counts)


def scene_objects(mask: NDArray) -> list[dict[str, Any]]:
    """Find the objects of a scene.

    Args:
        mask: Class of every pixel, ``(H, W)``, uint8; 0 is the ground.

    Returns:
        ``category_id``, ``bbox`` (``x, y, width, height``), ``area`` and
        ``segmentation`` of each.
    """
    half = np.array(mask.shape) // 2
    objects = []
    for top, left in ((0, 0), (0, half[1]), (half[0], 0), (half[0], half[1])):
        part = np.zeros_like(mask)
        window = np.s_[top : top + half[0], left : left + half[1]]
        part[window] = mask[window]
        if not part.any():
            continue
        rows, columns = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
        corner = int(columns[0]), int(rows[0])
        objects.append(
            dict(
                category_id=int(part.max()),
                bbox=[*corner, int(columns[-1]) + 1 - corner[0], int(rows[-1]) + 1 - corner[1]],
                area=int((part > 0).sum()),
                segmentation=run_lengths(part > 0),
                iscrowd=0,
            )
        )
    return objects


def write_fashion_detection(root: Path) -> None:
    """Write the scenes and ``train.json`` and ``test.json``; what is there is kept.

    Args:
        root: Folder to write to; the images go to ``images/<split>``.
    """
    write_fashion_scenes(root)
    for split, number in NUM_SCENES.items():
        if (root / f"{split}.json").exists():
            continue
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for index in range(number):
            mask = np.asarray(Image.open(root / "masks" / split / f"{index:04d}.png"))
            height, width = mask.shape
            images.append(dict(id=index, file_name=f"{index:04d}.png", width=width, height=height))
            for each in scene_objects(mask):
                annotations.append(dict(id=len(annotations) + 1, image_id=index, **each))
        categories = [dict(id=label, name=name) for label, name in enumerate(CLASSES) if label]
        with atomic_path(root / f"{split}.json") as path:
            path.write_text(
                json.dumps(dict(images=images, annotations=annotations, categories=categories))
            )
