"""Images of the transfer study that are rendered or altered: small, grey, labelled exactly.

The structured tasks are in the spirit of VTAB-1K's (dSprites' location and
orientation, CLEVR's count), with real items of Fashion-MNIST or simple shapes
on a noisy ground. Every function takes its source of randomness.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import rotate

SIZE = 28
NUM_LOCATIONS = 16
NUM_ORIENTATIONS = 8
MAX_COUNT = 8


def ground(rng: Generator) -> NDArray:
    """Draw a dark noisy ground, ``(28, 28)``, float, in [0, 255]."""
    return np.clip(rng.uniform(0, 40) + 8 * rng.standard_normal((SIZE, SIZE)), 0, 255)


def resized(image: NDArray, size: int) -> NDArray:
    """Resize a square grey image to ``size`` pixels a side, bicubic, float."""
    picture = Image.fromarray(image.astype(np.uint8))
    return np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC), dtype=float)


def locate(item: NDArray, rng: Generator) -> tuple[NDArray, int]:
    """Put an item somewhere; the label is its horizontal place.

    Args:
        item: Grey image, ``(28, 28)``, uint8.
        rng: Source of randomness.

    Returns:
        The image, ``(28, 28)``, uint8, and the column in which the 13 px wide
        item starts, in ``[0, 16)``.
    """
    side = SIZE - NUM_LOCATIONS + 1
    top, left = rng.integers(NUM_LOCATIONS, size=2)
    image = ground(rng)
    window = np.s_[top : top + side, left : left + side]
    image[window] = np.maximum(image[window], resized(item, side))
    return image.astype(np.uint8), int(left)


def orient(item: NDArray, rng: Generator) -> tuple[NDArray, int]:
    """Turn an item; the label is the angle.

    Args:
        item: Grey image, ``(28, 28)``, uint8.
        rng: Source of randomness.

    Returns:
        The image, ``(28, 28)``, uint8, and the angle in steps of 45 degrees,
        to which up to 10 degrees either way are added, in ``[0, 8)``.
    """
    label = int(rng.integers(NUM_ORIENTATIONS))
    angle = label * 360 / NUM_ORIENTATIONS + rng.uniform(-10, 10)
    turned = rotate(resized(item, 20), angle, reshape=True, order=1)[:SIZE, :SIZE]
    image = ground(rng)
    top, left = (
        int(rng.integers(room + 1)) for room in (SIZE - turned.shape[0], SIZE - turned.shape[1])
    )
    window = np.s_[top : top + turned.shape[0], left : left + turned.shape[1]]
    image[window] = np.maximum(image[window], turned)
    return image.astype(np.uint8), label


def shape_mask(side: int, kind: int) -> NDArray:
    """Draw a square, a disc or a cross (kind 0, 1, 2), ``(side, side)``, bool; odd side."""
    half = side // 2
    rows, columns = np.mgrid[-half : half + 1, -half : half + 1]
    if kind == 0:
        return np.ones((side, side), dtype=bool)
    if kind == 1:
        return rows**2 + columns**2 <= (half + 0.3) ** 2
    return (rows == 0) | (columns == 0)


def count(rng: Generator) -> tuple[NDArray, int]:
    """Draw one to eight shapes apart from each other; the label is how many, less one.

    Args:
        rng: Source of randomness.

    Returns:
        The image, ``(28, 28)``, uint8, and the label, in ``[0, 8)``. Shapes are
        squares, discs and crosses, 3 or 5 px wide, of different brightness.
    """
    label = int(rng.integers(MAX_COUNT))
    image = ground(rng)
    taken = np.zeros((SIZE, SIZE), dtype=bool)
    drawn = 0
    while drawn <= label:
        mask = shape_mask(int(rng.choice([3, 5])), int(rng.integers(3)))
        side = len(mask)
        top, left = rng.integers(1, SIZE - side, size=2)
        if taken[top - 1 : top + side + 1, left - 1 : left + side + 1].any():
            continue  # it would touch another
        taken[top : top + side, left : left + side] = True
        image[top : top + side, left : left + side][mask] = rng.uniform(120, 255)
        drawn += 1
    return image.astype(np.uint8), label


def add_noise(image: NDArray, rng: Generator) -> NDArray:
    """Add Gaussian noise (deviation 50) and set 10 % of the pixels to black or white.

    Args:
        image: Grey image, ``(H, W)``, uint8.
        rng: Source of randomness.

    Returns:
        The noisy image, same shape and type.
    """
    noisy = np.clip(image + 50 * rng.standard_normal(image.shape), 0, 255)
    struck = rng.random(image.shape) < 0.1
    noisy[struck] = 255 * rng.integers(2, size=int(struck.sum()))
    return noisy.astype(np.uint8)


def turn(image: NDArray, rng: Generator) -> NDArray:
    """Turn an image about its centre by up to 90 degrees either way.

    Args:
        image: Grey image, ``(H, W)``, uint8.
        rng: Source of randomness.

    Returns:
        The turned image, same shape and type, black where nothing was.
    """
    return rotate(image, rng.uniform(-90, 90), reshape=False, order=1).astype(np.uint8)
