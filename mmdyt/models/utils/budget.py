"""Choose after training how many tokens the dispatchers of a model activate.

One shift of all logits moves the activation rate and keeps the order in which the
dispatchers value tokens. Which shift gives which rate is measured once by
``tools/analysis_tools/budget_curve.py``; its table belongs to one training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from mmdyt.checks import check_number
from mmdyt.models.dispatchers import SampleDispatcher
from mmdyt.models.layers import rules
from mmdyt.models.layers.decisions import ShiftedThreshold, TopTokens
from mmdyt.models.utils.budget_table import interpolate, require_own
from mmdyt.models.utils.dispatch_mode import dispatched_layers, settable_dispatchers


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
            the table is damaged or of another training, not exactly one budget is
            given, or it is outside what was measured.
    """
    given = {"rate": rate, "gflops": gflops}
    asked = {key: value for key, value in given.items() if value is not None}
    if len(asked) != 1:
        raise ValueError(f"set_budget takes either rate or gflops, got {given}")
    names = [name for name, *_ in settable_dispatchers(model)]
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
    points = [*budgets["points"], *([budgets["trained"]] if "trained" in budgets else [])]
    if capacity:  # its own cost and accuracy
        points = [{**point, **point["capacity"]} for point in points if "capacity" in point]
        if not points:
            raise ValueError(
                "the table of budgets has no capacity: its dispatchers decide on samples"
            )
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
    for _, layer, branch in settable_dispatchers(model):
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
            least one token is active, and of a share above 0 at least one patch.

    Raises:
        ValueError: If a share is outside [0, 1], a dispatcher is not named or
            unknown, or decides without logits or on whole images.
    """
    parts = list(settable_dispatchers(model))
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
