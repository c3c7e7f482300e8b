"""Find the shifts of the dispatchers' logits that cost what is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Point = dict[str, Any]

EXTREME = 64.0  # beyond the logits of most trained dispatchers
WIDEST = 64.0 * 4**6  # where float32's steps are 0.03
TOLERANCE = 0.005  # of what dispatch can save
MAX_HALVINGS = 30


def calibrate(
    measure: Callable[[float], Point], num_points: int, tell: Callable[[int], object]
) -> list[Point]:
    """Bisect for shifts that divide what dispatch can save into equal parts.

    The least and the most that the model can cost are measured first; the points
    then lie at 10 % to 90 % of the way, the two at the ends not inside it, so that
    10 % and 90 % can be asked for. What one search has measured narrows the next
    one down.

    Args:
        measure: Runs the model with a shift of all logits; the point that it
            returns has at least ``shift``, ``rate`` and ``gflops``.
        num_points: How many points to find, at least 2.
        tell: Called with the number of points that are found, after each
            measurement.

    Returns:
        The points, by ascending shift.

    Raises:
        ValueError: If the cost does not depend on the shift.
    """
    seen = [_extreme(measure, -1), _extreme(measure, 1)]
    floor, most = seen[0]["gflops"], seen[1]["gflops"]
    if not floor < most:
        raise ValueError(
            f"the model costs {floor:.4g} GFLOPs whatever its dispatchers decide: there is no "
            "budget to choose"
        )
    found: list[Point] = []
    shares = np.linspace(0.1, 0.9, num_points)
    shares[[0, -1]] += (-TOLERANCE, TOLERANCE)
    for share in shares.tolist():
        target = floor + share * (most - floor)
        for _ in range(MAX_HALVINGS):
            nearest = min(seen, key=lambda point: abs(point["gflops"] - target))
            if abs(nearest["gflops"] - target) <= TOLERANCE * (most - floor):
                break
            low = max(point["shift"] for point in seen if point["gflops"] < target)
            high = min(point["shift"] for point in seen if point["gflops"] >= target)
            seen.append(measure((low + high) / 2))
            tell(len(found))
        if nearest not in found:
            found.append(nearest)
        tell(len(found))
    return sorted(found, key=lambda point: point["shift"])


def _extreme(measure: Callable[[float], Point], sign: int) -> Point:
    """Shift until no token can change any more: dispatchers that learn fast have large logits."""
    goal, point = max(sign, 0), measure(sign * EXTREME)
    while point["rate"] != goal and abs(point["shift"]) < WIDEST:
        point = measure(4 * point["shift"])
    return point
