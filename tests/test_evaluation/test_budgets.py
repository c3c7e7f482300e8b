"""Bisection finds the shifts that cost what is asked for."""

import pytest

from mmdyt.evaluation.budgets import EXTREME, TOLERANCE, calibrate


def rate_of(shift: float, scale: float) -> float:
    """Share of active tokens whose logits spread evenly from -2 to 6 times a scale."""
    return min(max((shift / scale + 6) / 8, 0.0), 1.0)


@pytest.mark.parametrize("scale", [1, 40, 1000])
def test_points_divide_what_dispatch_can_save_into_equal_parts(scale):
    shifts, told = [], []

    def measure(shift):
        shifts.append(shift)
        rate = rate_of(shift, scale)
        return dict(shift=shift, rate=rate, gflops=5 + 10 * rate)

    points = calibrate(measure, 5, told.append)
    assert shifts[0] == -EXTREME and len(shifts) < 45
    assert (min(shifts), max(shifts)) == {
        1: (-EXTREME, EXTREME),
        40: (-4 * EXTREME, 4 * EXTREME),
        1000: (-256 * EXTREME, 64 * EXTREME),
    }[scale]
    for point, share in zip(points, (0.1, 0.3, 0.5, 0.7, 0.9)):
        assert abs(point["gflops"] - (5 + 10 * share)) <= 20 * TOLERANCE
    assert points[0]["gflops"] <= 6 and points[-1]["gflops"] >= 14  # both can be asked for
    assert told == sorted(told) and told[-1] == 5


def test_a_cost_of_steps_ends_too_and_a_constant_one_is_refused():
    steps = calibrate(
        lambda s: dict(shift=s, rate=float(s > 3), gflops=float(s > 3)), 4, lambda done: None
    )
    assert {point["gflops"] for point in steps} == {0.0, 1.0}
    with pytest.raises(ValueError, match="there is no budget to choose"):
        calibrate(lambda shift: dict(shift=shift, rate=0.5, gflops=2.0), 3, lambda done: None)


def test_logits_that_all_lie_beyond_the_first_shift_are_reached():
    def measure(shift):
        rate = rate_of(shift + 200, 1)  # all tokens are active at a shift of -64
        return dict(shift=shift, rate=rate, gflops=rate)

    points = calibrate(measure, 3, lambda done: None)
    assert [round(point["rate"], 1) for point in points] == [0.1, 0.5, 0.9]
