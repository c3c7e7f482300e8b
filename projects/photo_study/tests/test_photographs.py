"""The photographs of the README's picture."""

import skimage.data

from projects.photo_study.photographs import SQUARES, read_squares


def test_squares_lie_inside_the_photographs():
    for name, (left, top, side) in SQUARES.items():
        height, width = getattr(skimage.data, name)().shape[:2]
        assert min(left, top) >= 0 and left + side <= width and top + side <= height, name
    assert read_squares(14).shape == (len(SQUARES), 14, 14, 3)
