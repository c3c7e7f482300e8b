"""Switch how dispatched layers run, and read what they decided."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from mmdyt.models.layers import DispatchedLayer
from mmdyt.structures import DispatchRecord

MODES = ("dynamic", "complete", "masked", "joint")


def dispatched_layers(model: nn.Module) -> list[DispatchedLayer]:
    """All layers of a model that were built for dispatch, in order."""
    return [module for module in model.modules() if isinstance(module, DispatchedLayer)]


@contextmanager
def dispatch_mode(model: nn.Module, mode: str) -> Iterator[None]:
    """Run a model's dispatched layers in another mode inside the context.

    Args:
        model: Any module; a model without dispatched layers is left alone.
        mode: - ``'dynamic'``: dispatchers decide; masks in training, real
              skipping in evaluation. The default outside any context.
            - ``'complete'``: every token is active (the complete model of
              paper section 3.5).
            - ``'masked'``: as ``'dynamic'``, but evaluation computes every
              token and masks, as training does.
            - ``'joint'``: two passes of training in one, as
              :func:`joint_backbone` needs it.

    Raises:
        ValueError: If ``mode`` is none of these.
    """
    if mode not in MODES:
        raise ValueError(f"dispatch mode {mode!r} is unknown; choose one of {list(MODES)}")
    layers = dispatched_layers(model)
    before = [layer.dispatch_mode for layer in layers]
    try:
        for layer in layers:
            layer.dispatch_mode = mode
        yield
    finally:
        for layer, old in zip(layers, before):
            layer.dispatch_mode = old


@contextmanager
def collect_dispatch(model: nn.Module) -> Iterator[list[DispatchRecord]]:
    """Collect the decisions of a model's dispatchers.

    Contexts nest, and every forward pass inside appends: slide and multi-view
    inference run the backbone many times.

    Args:
        model: Any module.

    Yields:
        A list that receives one :class:`~mmdyt.structures.DispatchRecord` a
        dispatcher and pass. It stays readable after the context.
    """
    layers = dispatched_layers(model)
    records: list[DispatchRecord] = []
    try:
        for layer in layers:
            layer.sinks.append(records)
        yield records
    finally:
        for layer in layers:
            layer.sinks[:] = [sink for sink in layer.sinks if sink is not records]
