"""Choose after training how many tokens the dispatchers of a model activate.

One shift of all logits moves the activation rate and keeps the order in which the
dispatchers value tokens. Which shift gives which rate is measured once by
``tools/analysis_tools/budget_curve.py``; its table belongs to one training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch import nn

from mmdyt.checks import check_number
from mmdyt.models.dispatchers import SampleDispatcher
from mmdyt.models.layers import DispatchedLayer, rules
from mmdyt.models.layers.decisions import ShiftedThreshold, TopTokens
from mmdyt.models.utils.dispatch_mode import dispatched_layers
from mmdyt.models.utils.frozen_base import fingerprint, unlike


def set_budget(
    model: nn.Module,
    *,
    rate: float | None = None,
    gflops: float | None = None,
    capacity: bool = False,
    budgets: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Let a trained model spend another share of its tokens in inference.

    Nothing trains again and no weight changes: a later call replaces an earlier
    one, and ``set_shift(model, 0.0)`` is the model as it was trained.

    Example::

        model = mmdyt.load_adapter("work_dirs/my_run/adapter.safetensors")
        mmdyt.set_budget(model, rate=0.4)

    Args:
        model: A model with token dispatchers, without a parallel wrapper.
        rate: Wanted share of active tokens, the mean over dispatchers, images
            and tokens. Defaults to ``None``: ``gflops`` is given.
        gflops: Wanted mean GFLOPs of a sample. Defaults to ``None``: ``rate`` is
            given.
        capacity: Whether every image gets the same number of tokens in a layer,
            as :func:`set_capacity` does, instead of a threshold. Defaults to
            ``False``.
        budgets: The content of ``budgets.json``. Defaults to ``None``: the table
            that came with the model's adapter file.

    Returns:
        What the table expects of this budget: ``shift``, ``rate``, ``gflops``,
        ``accuracy`` and, by dispatcher, ``rates``. GFLOPs and accuracy are those of
        the form that is asked for.

    Raises:
        ValueError: If the model has no dispatchers that could be set or no table,
            the table is of another training, not exactly one budget is given, or
            it is outside what was measured.
    """
    given = {"rate": rate, "gflops": gflops}
    asked = {key: value for key, value in given.items() if value is not None}
    if len(asked) != 1:
        raise ValueError(f"set_budget takes either rate or gflops, got {given}")
    names = [name for name, *_ in _settable(model)]
    budgets = getattr(model, "budgets", None) if budgets is None else budgets
    if budgets is None:
        raise ValueError(
            "the model came without a table of budgets: measure one with "
            "tools/analysis_tools/budget_curve.py CONFIG CHECKPOINT, which adds it to the adapter "
            "file, or pass the content of budgets.json as budgets"
        )
    require_own(model, budgets)
    ((key, value),) = asked.items()
    check_number(f"set_budget: {key}", value, "[0, inf)")
    points = budgets["points"]
    if not capacity:
        points = [*points, *([budgets["trained"]] if "trained" in budgets else [])]
    elif any("capacity" not in point for point in points):
        raise ValueError("the table of budgets has no capacity: its dispatchers decide on samples")
    else:  # its own cost and accuracy
        points = [{**point, **point["capacity"]} for point in points]
    point = interpolate(points, key, value)
    if capacity:
        set_capacity(model, {name: point["rates"][name] for name in names})
    else:
        set_shift(model, point["shift"])
    return point


def set_shift(model: nn.Module, shift: float) -> None:
    """Add a number to the logits of all dispatchers in inference.

    Args:
        model: A model with token dispatchers.
        shift: The number; 0 is the model as it was trained.

    Raises:
        ValueError: If the model has no dispatchers, or some without logits.
    """
    for _, layer, branch in _settable(model):
        layer.fixed_rules.pop(branch, None)
        layer.fixed_decisions[branch] = ShiftedThreshold(shift)


def clear_budget(model: nn.Module) -> None:
    """Take back what :func:`set_budget`, :func:`set_shift` or :func:`set_capacity` set.

    Args:
        model: Any model.
    """
    for layer in dispatched_layers(model):
        layer.fixed_rules.clear()
        layer.fixed_decisions.clear()


def set_capacity(model: nn.Module, rates: float | Mapping[str, float]) -> None:
    """Let every image have exactly the same number of active tokens in a layer.

    Inference takes the ``k`` tokens of the largest logits, so that every shape is
    known beforehand, ``(B, k, C)``: no waiting for the GPU, a constant cost of an
    image, and a graph for ``torch.compile(fullgraph=True)``, ``torch.export`` and
    ONNX that has no operator of data-dependent shape.

    Args:
        model: A model with token dispatchers.
        rates: Share of active tokens of all dispatchers, or of each by its name in
            the metrics, as ``{'00_mlp': 0.4}``; prefix tokens come on top. At
            least one token is active.

    Raises:
        ValueError: If a share is outside [0, 1], a dispatcher is not named or
            unknown, or decides without logits or on whole images.
    """
    parts = list(_settable(model))
    if not isinstance(rates, Mapping):
        check_number("capacity", rates, "(0, 1]")
        rates = {name: rates for name, *_ in parts}
    if {name for name, *_ in parts} != rates.keys():
        raise ValueError(
            f"capacity names the dispatchers {sorted(rates)}, the model has "
            f"{sorted(name for name, *_ in parts)}"
        )
    for name, layer, branch in parts:
        check_number(f"capacity of {name}", rates[name], "[0, 1]")
        if isinstance(layer.dispatcher[branch], SampleDispatcher):
            raise ValueError(
                "backbone.dispatcher.type='mmdyt.SampleDispatcher' decides on whole images, which "
                "leaves no tokens to choose among"
            )
    for name, layer, branch in parts:
        layer.fixed_decisions[branch] = TopTokens(float(rates[name]))
        layer.fixed_rules[branch] = rules.capacity


def own_fingerprint(model: nn.Module) -> dict:
    """Describe the weights of a model's dispatchers, by which a table is known again."""
    return fingerprint(_dispatcher_weights(model))


def require_own(model: nn.Module, budgets: Mapping[str, Any]) -> None:
    """Refuse a table of budgets that was measured on other dispatchers.

    Raises:
        ValueError: Naming a dispatcher that differs.
    """
    weights = _dispatcher_weights(model)
    if wrong := unlike(budgets["dispatchers"], weights):
        raise ValueError(
            "the table of budgets was measured on another checkpoint "
            f"({budgets.get('checkpoint', 'unnamed')}): {len(wrong)} tensors of the dispatchers "
            f"differ, first {wrong[0]}; run tools/analysis_tools/budget_curve.py on this one"
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
    single = ("shift", "rate", "gflops", "accuracy")
    return {name: at([point[name] for point in points]) for name in single} | {"rates": rates}


def _settable(model: nn.Module) -> Iterator[tuple[str, DispatchedLayer, str]]:
    """Name in the metrics, layer and branch of every dispatcher, which must have logits."""
    found = False
    layers = dispatched_layers(model)
    paths = {module: path for path, module in model.named_modules()}
    several = len({layer.layer_index for layer in layers}) < len(layers)
    for layer in layers:
        for branch, dispatcher in layer.dispatcher.items():
            found = True
            if not hasattr(dispatcher, "threshold"):
                raise ValueError(
                    f"a budget needs dispatchers with logits and a threshold, and "
                    f"{type(dispatcher).__name__} has none"
                )
            name = f"{layer.layer_index:02d}_{branch}"
            yield f"{paths[layer]}/{name}" if several else name, layer, branch
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no token dispatchers, whose budget could be chosen: set "
            "backbone.dispatch"
        )


def _dispatcher_weights(model: nn.Module) -> dict[str, Any]:
    return {
        f"{name}.{key}": tensor
        for name, layer, branch in _settable(model)
        for key, tensor in layer.dispatcher[branch].state_dict().items()
    }
