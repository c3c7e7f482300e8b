"""Tables of budgets: whether one is whole, belongs to a model, and what it says."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from typing import Any

import numpy as np
from torch import Tensor, nn

from mmdyt.models.utils.dispatch_mode import settable_dispatchers
from mmdyt.models.utils.frozen_base import fingerprint, unlike

NUMBERS = ("shift", "rate", "gflops", "accuracy")


def own_fingerprint(model: nn.Module) -> dict:
    """Describe a model's dispatchers and head, by which a table is known again.

    Adapters and backbone are left out: merging and packing rewrite them. So is an
    auxiliary head, which inference may lack.
    """
    return fingerprint(_own_weights(model))


def require_own(model: nn.Module, budgets: Any) -> None:
    """Refuse what is no table of budgets, or one that was measured on another model.

    Args:
        model: A model with token dispatchers.
        budgets: What should be the content of a ``budgets.json``.

    Raises:
        ValueError: Naming what is missing, or a tensor that differs.
    """
    weights = _own_weights(model)
    names = {name for name, *_ in settable_dispatchers(model)}
    if problem := _problem(budgets, names):
        raise ValueError(
            f"this is no table of budgets: {problem}; "
            "tools/analysis_tools/budget_curve.py CONFIG CHECKPOINT measures one"
        )
    theirs = budgets["weights"]
    if not hasattr(model, "backbone"):  # a backbone alone, of a table of the whole model
        theirs = theirs | dict(sketch={k: v for k, v in theirs["sketch"].items() if k in weights})
    if wrong := unlike(theirs, weights):
        raise ValueError(
            "the table of budgets was measured on another checkpoint "
            f"({budgets.get('checkpoint', 'unnamed')}): {len(wrong)} tensors of dispatchers and "
            f"head differ, first {wrong[0]}; run tools/analysis_tools/budget_curve.py on this one"
        )


def interpolate(points: list[dict[str, Any]], key: str, value: float) -> dict[str, Any]:
    """Read a table of budgets between its points, linearly.

    Args:
        points: Measured points, ``points`` of ``budgets.json``.
        key: ``'rate'`` or ``'gflops'``.
        value: The budget.

    Returns:
        A point of that budget.

    Raises:
        ValueError: If it is outside the measured points, naming their range.
    """
    points = sorted(points, key=lambda point: point["shift"])
    known = np.maximum.accumulate([point[key] for point in points])
    if not known[0] <= value <= known[-1]:
        # Rounded inwards, so that the ends of the range are accepted.
        low, high = np.ceil(known[0] * 1e4) / 1e4, np.floor(known[-1] * 1e4) / 1e4
        raise ValueError(f"a budget of {key}={value} is outside the measured range [{low}, {high}]")

    def at(values: list[float]) -> float:
        return float(np.interp(value, known, values))

    rates = {name: at([point["rates"][name] for point in points]) for name in points[0]["rates"]}
    return {name: at([point[name] for point in points]) for name in NUMBERS} | {"rates": rates}


def _own_weights(model: nn.Module) -> dict[str, Tensor]:
    dispatchers = {
        f"{name}.{key}": tensor
        for name, layer, branch in settable_dispatchers(model)
        for key, tensor in layer.dispatcher[branch].state_dict().items()
    }
    if not hasattr(model, "backbone"):
        return dispatchers
    others = ("backbone.", "auxiliary_head.")
    state = model.state_dict().items()
    return dispatchers | {name: t for name, t in state if not name.startswith(others)}


def _problem(budgets: Any, dispatchers: Set[str]) -> str | None:
    """Say what keeps something from being a table of budgets of these dispatchers."""
    if not isinstance(budgets, Mapping):
        return f"it is a {type(budgets).__name__}"
    weights, points = budgets.get("weights"), budgets.get("points")
    kinds = {"hash": str, "sketch": dict}
    if not isinstance(weights, dict) or not all(
        isinstance(weights.get(key), kind) for key, kind in kinds.items()
    ):
        return "'weights', the fingerprint of the model, is missing or damaged"
    if not isinstance(points, list) or not points:
        return "'points' is missing or empty"
    for point in [*points, *([budgets["trained"]] if "trained" in budgets else [])]:
        if not _numbers(point, NUMBERS) or not _numbers(point.get("rates"), dispatchers):
            return f"a point lacks numbers for {', '.join(NUMBERS)}, or the rate of a dispatcher"
        if "capacity" in point and not _numbers(point["capacity"], ("gflops", "accuracy")):
            return "the capacity of a point lacks numbers for gflops and accuracy"
    return None


def _numbers(values: Any, names: Collection[str]) -> bool:
    """Whether something has a number by each of these names."""
    return isinstance(values, Mapping) and all(
        isinstance(values.get(name), (int, float)) for name in names
    )
