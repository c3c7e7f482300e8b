"""Bisection finds the shifts that cost what is asked for."""

import math

import pytest

from mmdyt.evaluation.budgets import EXTREME, TOLERANCE, calibrate


def test_points_divide_what_dispatch_can_save_into_equal_parts():
    shifts, told = [], []

    def measure(shift):
        shifts.append(shift)
        return dict(shift=shift, gflops=5 + 10 / (1 + math.exp(2 - shift)))

    points = calibrate(measure, 5, told.append)
    assert shifts[:2] == [-EXTREME, EXTREME] and len(shifts) < 45
    for point, share in zip(points, (0.1, 0.3, 0.5, 0.7, 0.9)):
        assert abs(point["gflops"] - (5 + 10 * share)) <= 20 * TOLERANCE
    assert points[0]["gflops"] <= 6 and points[-1]["gflops"] >= 14  # both can be asked for
    assert told == sorted(told) and told[-1] == 5


def test_a_cost_of_steps_ends_too_and_a_constant_one_is_refused():
    steps = calibrate(lambda s: dict(shift=s, gflops=float(s > 3)), 4, lambda done: None)
    assert {point["gflops"] for point in steps} == {0.0, 1.0}
    with pytest.raises(ValueError, match="there is no budget to choose"):
        calibrate(lambda shift: dict(shift=shift, gflops=2.0), 3, lambda done: None)
