"""Rendered tasks: the label is in the picture, and nowhere else."""

import numpy as np
from scipy.ndimage import label as components
from scipy.ndimage import rotate

from projects.transfer_study.shapes import (
    MAX_COUNT,
    NUM_LOCATIONS,
    NUM_ORIENTATIONS,
    add_noise,
    count,
    locate,
    orient,
    turn,
)

BRIGHT = np.full((28, 28), 255, np.uint8)
HALF = np.where(np.arange(28) < 14, 255, 0).astype(np.uint8)[None].repeat(28, axis=0)


def drawn(function, *args, number=60):
    return [function(*args, np.random.default_rng(seed)) for seed in range(number)]


def test_a_location_is_the_column_where_the_item_starts():
    found = drawn(locate, BRIGHT, number=200)
    for image, label in found:
        columns = np.flatnonzero((image > 200).any(axis=0))
        assert columns[0] == label and len(columns) == 13
    assert {label for _, label in found} == set(range(NUM_LOCATIONS))


def test_an_orientation_is_the_angle_of_the_item():
    """An item that is bright on its left: where is the bright side now?"""
    found = drawn(orient, HALF)
    for image, label in found:
        mask = image > 150
        # The reference: the same item turned by the class's angle without jitter.
        angles = [
            rotate(HALF, step * 360 / NUM_ORIENTATIONS, reshape=True, order=1) > 150
            for step in range(NUM_ORIENTATIONS)
        ]
        # Long axis of the bright half, in degrees modulo 180.
        assert abs((axis(mask) - axis(angles[label]) + 90) % 180 - 90) < 16
    assert {label for _, label in found} == set(range(NUM_ORIENTATIONS))


def axis(mask):
    """Direction of the longest extent of a shape, in degrees."""
    rows, columns = np.nonzero(mask)
    _, vectors = np.linalg.eigh(np.cov(columns, rows))
    return np.degrees(np.arctan2(vectors[1, -1], vectors[0, -1]))


def test_a_count_is_the_number_of_separate_shapes():
    found = drawn(count, number=100)
    for image, label in found:
        assert components(image > 110, np.ones((3, 3)))[1] == label + 1
    assert {label for _, label in found} == set(range(MAX_COUNT))


def test_noise_and_turns_change_the_image_but_not_its_kind():
    image = HALF.copy()
    for change in (add_noise, turn):
        changed = change(image, np.random.default_rng(0))
        assert changed.shape == image.shape and changed.dtype == np.uint8
        assert (changed != image).mean() > 0.2
        assert (image == HALF).all()
    noisy = add_noise(np.full((200, 200), 128, np.uint8), np.random.default_rng(0)).astype(float)
    assert abs(noisy.mean() - 128) < 2
    assert 0.09 < np.isin(noisy, (0, 255)).mean() < 0.13
