"""Records of dispatcher decisions."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor

from mmdyt.models.layers.rules import capacity
from mmdyt.ops import is_padded, is_traced
from mmdyt.structures import DispatchRecord

if TYPE_CHECKING:
    from mmdyt.models.layers.dispatched_layer import DispatchedLayer

NOBODY_COLLECTS = (
    "token dispatchers train, but nothing reads their decisions: without a rate loss the "
    "activation rate is left to itself. Use a model of mmdyt, such as mmdyt.DyTImageClassifier, "
    "or collect the records (mmdyt.models.utils.collect_dispatch) and add a token_rate_loss"
)


def record_decision(
    layer: DispatchedLayer, name: str, x: Tensor, mask: Tensor, logits: Tensor | None
) -> None:
    """Hand one decision to every collector of a layer.

    Args:
        layer: The layer that decided.
        name: The dispatched branch.
        x: Token stream, ``(B, N, C)``.
        mask: Active tokens, ``(B, N)``, bool or with a gradient.
        logits: What the dispatcher computed, ``(B, N)``, or ``None``.

    Warns:
        UserWarning: Where a decision that trains has no collector.
    """
    if not layer.collectors:
        trains = any(param.requires_grad for param in layer.dispatcher[name].parameters())
        if trains and mask.requires_grad and not is_traced():
            warnings.warn(NOBODY_COLLECTS, stacklevel=2)
        return
    has_adapter = name in layer.adapter
    statistics = getattr(layer.adapter[name], "statistics", None) if has_adapter else None
    is_static = layer.fixed_rules.get(name) is capacity and layer.dispatch_mode == "dynamic"
    record = DispatchRecord(
        layer.layer_index,
        name,
        mask,
        logits,
        layer.num_prefix,
        extra=statistics(x) if statistics is not None else {},
        mode=layer.dispatch_mode,
        padded=name not in layer.token_wise and is_padded(x) and not is_static,
    )
    for collector in layer.collectors:
        collector.records.append(replace(record, module=collector.module))
