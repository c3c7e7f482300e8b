"""scikit-learn's real handwritten digits as point clouds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmpretrain.datasets import BaseDataset
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import interpolate

from mmdyt.checks import check_choice, check_integer
from mmdyt.registry import DATASETS
from projects.point_clouds.grouping import farthest_points, take

SIDE = 16  # pixels; scans have 8
MOST_POINTS = 96  # the least ink of any scan
PARTS = {"train": 0, "test": 1}


def lift(scans: Tensor, num_points: int) -> Tensor:
    """Make clouds of scans: their ink as a surface over the page.

    Scans are magnified to 16 x 16 pixels, bilinearly; every pixel with ink becomes
    a point at its place in the unit square, as high as half its intensity.
    Farthest-point sampling keeps some of them. Nothing is random.

    Args:
        scans: Intensities in [0, 1], ``(B, 8, 8)``; a scan without ink has no cloud.
        num_points: How many points to keep, ``P``.

    Returns:
        The clouds, ``(B, P, 3)``.
    """
    ink = interpolate(scans.unsqueeze(1), size=(SIDE, SIDE), mode="bilinear").flatten(1)
    steps = torch.arange(SIDE) / SIDE
    page = torch.cartesian_prod(1 - steps, steps).flip(1)  # x, y of every pixel, row by row
    points = torch.cat([page.expand(len(ink), -1, -1), ink.unsqueeze(-1) / 2], dim=2)  # (B, 256, 3)
    # Pixels without ink go to the highest point, where sampling passes over them.
    highest = take(points, ink.argmax(dim=1, keepdim=True))
    points = torch.where(ink.unsqueeze(-1) > 0, points, highest)
    return take(points, farthest_points(points, num_points))


@DATASETS.register_module()
class DigitClouds(BaseDataset):
    """The 1,797 digits of scikit-learn, lifted to clouds.

    Clouds are 2.5-dimensional, but real and everywhere at hand. Of each digit every
    second scan, in scikit-learn's order, is for testing.

    Args:
        digits (Sequence[int]): Which digits; their labels count from 0.
        part (str): ``'train'`` or ``'test'``.
        num_points (int): Points of a cloud, at most 96. Defaults to 96.
        **kwargs: As ``BaseDataset``; samples have ``points``, ``(P, 3)``, and ``gt_label``.

    Raises:
        ValueError: If a digit, the part or the number is none of these.
    """

    def __init__(
        self, digits: Sequence[int], part: str, num_points: int = MOST_POINTS, **kwargs
    ) -> None:
        for digit in digits:
            check_integer("dataset.digits", digit, "[0, 9]")
        check_choice("dataset.part", part, PARTS)
        check_integer("dataset.num_points", num_points, f"[1, {MOST_POINTS}]")
        self.digits, self.part, self.num_points = list(digits), part, num_points
        super().__init__(ann_file="", metainfo=dict(classes=[str(d) for d in digits]), **kwargs)

    def load_data_list(self) -> list[dict]:
        """Lift the scans."""
        scans = load_digits()
        images = torch.from_numpy(scans.images).float() / 16
        parts = [images[scans.target == digit][PARTS[self.part] :: 2] for digit in self.digits]
        return [
            dict(points=cloud, gt_label=label)
            for label, part in enumerate(parts)
            for cloud in lift(part, self.num_points)
        ]
