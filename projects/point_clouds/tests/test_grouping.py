"""Farthest points, groups of neighbours and clouds of digits."""

import pytest
import torch
from sklearn.datasets import load_digits

from projects.point_clouds.digit_clouds import MOST_POINTS, SIDE, DigitClouds, lift
from projects.point_clouds.grouping import farthest_points, group_points, take


def test_each_point_is_the_farthest_from_those_before():
    points = torch.randn(3, 40, 3)
    for cloud, chosen in zip(points, farthest_points(points, 12)):
        assert chosen[0] == (cloud - cloud.mean(0)).norm(dim=1).argmax()
        for number in range(1, 12):
            gaps = (cloud[:, None] - cloud[chosen[:number]]).norm(dim=2).amin(dim=1)
            assert chosen[number] == gaps.argmax()
        assert len(set(chosen.tolist())) == 12


def test_groups_hold_the_nearest_points_seen_from_their_centres():
    points = torch.randn(2, 30, 3)
    groups, centres = group_points(points, 5, 7)
    assert groups.shape == (2, 5, 7, 3)
    torch.testing.assert_close(centres, take(points, farthest_points(points, 5)))
    every = (points[:, None] - centres[:, :, None]).norm(dim=-1).sort(dim=-1).values
    torch.testing.assert_close(groups.norm(dim=-1).sort(dim=-1).values, every[..., :7])
    assert groups.norm(dim=-1).amin(dim=-1).max() == 0  # the centre is one of them


def test_the_order_of_the_points_is_of_no_account():
    points, order = torch.randn(2, 30, 3), torch.randperm(30)
    chosen, permuted = farthest_points(points, 8), farthest_points(points[:, order], 8)
    assert torch.equal(order[permuted], chosen)


def test_duplicate_points_end_and_stay_finite():
    points = torch.randn(1, 3, 3).repeat(1, 6, 1)
    groups, centres = group_points(points, 10, 4)
    assert groups.isfinite().all()
    assert len(centres[0].unique(dim=0)) == 3


def test_a_cloud_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match=r"backbone\.num_groups=9 is more than a cloud .* 8"):
        group_points(torch.randn(1, 8, 3), 9, 4)
    with pytest.raises(ValueError, match=r"backbone\.group_size=9 is more than a cloud .* 8"):
        group_points(torch.randn(1, 8, 3), 4, 9)
    with pytest.raises(ValueError, match=r"\(B, P, 3\), got \(1, 3, 28, 28\)"):
        group_points(torch.randn(1, 3, 28, 28), 4, 4)


def test_a_cloud_is_the_ink_of_its_scan():
    scans = torch.zeros(1, 8, 8)
    scans[0, 1, 6] = 1.0
    (cloud,) = lift(scans, 16)
    assert len(cloud.unique(dim=0)) == 16  # the magnified pixel and what fades around it
    peak = cloud[cloud[:, 2] == cloud[:, 2].max()]
    column, row = peak[:, 0] * SIDE, (1 - peak[:, 1]) * SIDE
    assert set(row.tolist()) <= {2, 3} and set(column.tolist()) <= {12, 13}
    assert cloud[:, 2].min() > 0 and cloud[:, 2].max() <= 0.5


def test_every_scan_has_ink_for_the_most_points():
    digits = load_digits()
    sets = [DigitClouds(digits=range(10), part=part) for part in ("train", "test")]
    assert [len(each) for each in sets] == [901, 896]
    assert sum(map(len, sets)) == len(digits.target)
    for each in sets:
        for cloud in (each[index]["points"] for index in range(0, len(each), 10)):
            assert cloud.shape == (MOST_POINTS, 3)
            assert len(cloud.unique(dim=0)) == MOST_POINTS


def test_labels_count_from_zero_and_parts_share_no_scan():
    one, other = (DigitClouds(digits=[7, 3], part=part) for part in ("train", "test"))
    assert one.metainfo["classes"] == ["7", "3"]
    assert sorted({one[index]["gt_label"] for index in range(len(one))}) == [0, 1]
    first = {tuple(one[index]["points"].flatten().tolist()) for index in range(len(one))}
    second = {tuple(other[index]["points"].flatten().tolist()) for index in range(len(other))}
    assert first and not first & second


BAD = [
    (dict(digits=[11], part="train"), r"dataset\.digits must be an integer in \[0, 9\], got 11"),
    (dict(digits=[1], part="val"), r"dataset\.part='val' is unknown; choose one of \['train'"),
    (dict(digits=[1], part="train", num_points=97), r"dataset\.num_points .*\[1, 96\], got 97"),
]


def test_bad_input_of_the_data_names_value_choices_and_key(subtests):
    for args, message in BAD:
        with subtests.test(message), pytest.raises(ValueError, match=message):
            DigitClouds(**args)
