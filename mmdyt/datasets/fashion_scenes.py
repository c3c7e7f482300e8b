"""Segmentation scenes composed of real Fashion-MNIST items.

Items lie on textured backgrounds; the mask of a scene is exact, since it is
what was pasted. The layout is that of mmsegmentation's
``BaseSegDataset``: ``images/<split>/*.png`` and ``masks/<split>/*.png``.
Training scenes have items of Fashion-MNIST's training split, test scenes those
of its test split.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track
from scipy.ndimage import binary_fill_holes, gaussian_filter

from mmdyt.fileio import atomic_path
from mmdyt.package_files import package_file

CLASSES = ("background", "top", "trouser", "shoe", "bag")
PALETTE = [[40, 40, 40], [68, 119, 170], [34, 136, 51], [238, 102, 119], [204, 187, 68]]
# Class of T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle
# boot; dresses, which are long tops here and short trousers there, are left out.
CLASS_OF_ITEM = (1, 2, 1, 0, 1, 3, 1, 3, 4, 3)
NUM_SCENES = {"train": 800, "test": 200}


def item_outline(item: NDArray) -> NDArray:
    """Find the pixels that belong to an item on its black ground.

    Args:
        item: Grey image, ``(H, W)``, uint8.

    Returns:
        ``(H, W)``, bool, without holes.
    """
    return binary_fill_holes(item > 8)


def textured_background(size: int, rng: Generator) -> NDArray:
    """Draw smooth noise, with stripes over half of the backgrounds.

    Args:
        size: Side in pixels.
        rng: Source of randomness.

    Returns:
        ``(size, size)``, float, in [0, 255].
    """
    noise = gaussian_filter(rng.standard_normal((size, size)), sigma=rng.uniform(0.7, 4))
    texture = noise / noise.std()
    if rng.random() < 0.5:
        angle, period = rng.uniform(0, np.pi), rng.uniform(5, 16)
        rows, columns = np.mgrid[:size, :size]
        along = rows * np.sin(angle) + columns * np.cos(angle)
        texture = texture * 0.5 + np.sin(2 * np.pi * along / period)
    return np.clip(rng.uniform(30, 80) + rng.uniform(5, 20) * texture, 0, 255)


def compose_scene(
    items: NDArray, labels: NDArray, rng: Generator, size: int = 64
) -> tuple[NDArray, NDArray]:
    """Paste one to four items onto a background, one per quadrant.

    Args:
        items: Grey images to choose from, ``(N, h, w)``, uint8, at most half
            as large as the scene.
        labels: Their Fashion-MNIST labels, ``(N,)``.
        rng: Source of randomness.
        size: Side of the scene in pixels. Defaults to 64.

    Returns:
        The image, ``(size, size)``, uint8, and the class of every pixel,
        ``(size, size)``, uint8.
    """
    image = textured_background(size, rng)
    mask = np.zeros((size, size), np.uint8)
    # Classes first: Fashion-MNIST has four times as many tops as trousers.
    classes = np.asarray(CLASS_OF_ITEM)[labels]
    for quadrant in rng.permutation(4)[: rng.integers(1, 5)]:
        group = rng.integers(1, len(CLASSES))
        item = items[rng.choice(np.flatnonzero(classes == group))]
        if rng.random() < 0.5:
            item = item[:, ::-1]
        outline = item_outline(item)
        corner = np.array(divmod(quadrant, 2)) * (size // 2)
        top, left = corner + rng.integers(0, size // 2 - np.array(item.shape) + 1)
        window = np.s_[top : top + item.shape[0], left : left + item.shape[1]]
        image[window] = np.where(outline, item, image[window])
        mask[window] = np.where(outline, group, mask[window])
    return image.astype(np.uint8), mask


def write_fashion_scenes(root: Path, source: Path = Path("assets/fashion_items.npz")) -> None:
    """Write the data set; files that are there are kept.

    Args:
        root: Folder to write to.
        source: The items, see ``tools/dataset_converters/fashion_items.py``.
            Defaults to the file that comes with mmdyt.
    """
    with np.load(package_file(source)) as arrays:
        items = dict(arrays)
    for seed, (split, number) in enumerate(NUM_SCENES.items()):
        for index in track(range(number), f"Composing {split} scenes", transient=True):
            paths = [root / kind / split / f"{index:04d}.png" for kind in ("images", "masks")]
            if all(path.exists() for path in paths):
                continue
            scene = compose_scene(
                items[f"{split}_images"],
                items[f"{split}_labels"],
                np.random.default_rng([seed, index]),
            )
            for path, array in zip(paths, scene):
                with atomic_path(path) as temporary:
                    Image.fromarray(array).save(temporary)
