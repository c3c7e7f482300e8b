"""Which parameters train: a matter of structure, not of what was loaded."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from mmdyt.models.layers import RelativePositionBias
from mmdyt.models.utils.dispatch_mode import dispatched_layers

TUNINGS = ("peft", "linear", "full")


def set_trainable(model: nn.Module, tuning: str, heads: Iterable[str]) -> None:
    """Freeze everything but what a tuning method trains.

    Args:
        model: The model; its layers are found by class, its heads by name.
        tuning: - ``'peft'``: heads, adapters, dispatchers and relative position
              biases (DyT, AdaptFormer).
            - ``'linear'``: heads only.
            - ``'full'``: everything.
        heads: Names of direct children that always train; those that the
            model lacks or has as ``None`` are passed over.

    Raises:
        ValueError: If ``tuning`` is none of these.
    """
    if tuning not in TUNINGS:
        raise ValueError(f"model.tuning={tuning!r} is unknown; choose one of {list(TUNINGS)}")
    model.requires_grad_(tuning == "full")
    trained: list[nn.Module | None] = [getattr(model, name, None) for name in heads]
    if tuning == "peft":
        for layer in dispatched_layers(model):
            trained += [layer.adapter, layer.dispatcher]
        trained += [part for part in model.modules() if isinstance(part, RelativePositionBias)]
    for module in trained:
        if module is not None:
            module.requires_grad_(True)


def trainable_names(model: nn.Module) -> list[str]:
    """Names of the parameters that train, in the order of the model."""
    return [name for name, param in model.named_parameters() if param.requires_grad]
