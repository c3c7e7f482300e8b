"""Switch how dispatched layers run, and read what they decided."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from mmdyt.checks import check_choice
from mmdyt.models.layers import DispatchedLayer
from mmdyt.structures import Collector, DispatchRecord

MODES = ("dynamic", "complete", "masked")


def dispatched_layers(model: nn.Module) -> list[DispatchedLayer]:
    """All layers of a model that were built for dispatch, in order."""
    return [module for module in model.modules() if isinstance(module, DispatchedLayer)]


def settable_dispatchers(model: nn.Module) -> Iterator[tuple[str, DispatchedLayer, str]]:
    """Find the dispatchers of a model whose rate can be chosen after training.

    Args:
        model: Any model.

    Yields:
        Name in the metrics, layer and branch of each.

    Raises:
        ValueError: If one decides without logits and a threshold, or there is none.
    """
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

    Raises:
        ValueError: If ``mode`` is none of these.
    """
    check_choice("dispatch mode", mode, MODES)
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
def collect_dispatch(model: nn.Module, all_passes: bool = False) -> Iterator[list[DispatchRecord]]:
    """Collect the decisions of a model's dispatchers.

    Contexts nest, and every forward pass inside appends: slide and multi-view
    inference run the backbone many times.

    Args:
        model: Any module.
        all_passes: Whether to collect from ``model.loss(...)`` what its
            complete pass records too, which is that every token is active;
            ``DispatchRecord.mode`` tells the passes
            apart. Defaults to ``False``: the dynamic pass only.

    Yields:
        A list that receives one :class:`~mmdyt.structures.DispatchRecord` per
        dispatcher per pass. It stays readable after the context.
    """
    layers = {name: m for name, m in model.named_modules() if isinstance(m, DispatchedLayer)}
    records: list[DispatchRecord] = []
    try:
        for name, layer in layers.items():
            layer.collectors.append(Collector(records, name, all_passes))
        yield records
    finally:
        for layer in layers.values():
            layer.collectors[:] = [c for c in layer.collectors if c.records is not records]


@contextmanager
def hide_pass(model: nn.Module, from_all: bool = False) -> Iterator[None]:
    """Keep what runs inside the context from the collectors around it.

    Args:
        model: Any module.
        from_all: Whether to hide it even from those that want all passes.
            Defaults to ``False``.
    """
    layers = dispatched_layers(model)
    before = [layer.collectors for layer in layers]
    try:
        for layer, collectors in zip(layers, before):
            layer.collectors = [c for c in collectors if c.all_passes and not from_all]
        yield
    finally:
        for layer, collectors in zip(layers, before):
            layer.collectors = collectors
