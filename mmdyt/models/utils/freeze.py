"""Which parameters train: a matter of structure, not of what was loaded."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator

from mmpretrain.models.peft.lora import LoRALinear
from torch import nn

from mmdyt.checks import check_choice
from mmdyt.models.layers import DispatchedLayer, TunedModule


def added_modules(model: nn.Module) -> Iterator[nn.Module]:
    """Find what tuning adds to a backbone: adapters, dispatchers, every ``TunedModule``, ..."""
    for module in model.modules():
        if isinstance(module, DispatchedLayer):
            yield from (module.adapter, module.dispatcher)
        elif isinstance(module, LoRALinear):
            yield from (module.lora_down, module.lora_up)
        elif isinstance(module, TunedModule):
            yield module


def added_names(model: nn.Module) -> set[str]:
    """Names of the parameters and buffers of what tuning adds."""
    added = {part for module in added_modules(model) for part in module.modules()}
    return {
        f"{path}.{name}"
        for path, module in model.named_modules()
        if module in added
        for name, tensor in (*module._parameters.items(), *module._buffers.items())
        if tensor is not None
    }


def _peft(model: nn.Module) -> Iterator[nn.Parameter]:
    for module in added_modules(model):
        yield from module.parameters()
    for module in model.modules():
        # Of the class: LoRAModel answers for the module that it wraps.
        for name in getattr(type(module), "tuned_parameters", ()):
            if (param := getattr(module, name)) is not None:
                yield param


def _biases(model: nn.Module) -> Iterator[nn.Parameter]:
    yield from _peft(model)
    for module in model.modules():
        if isinstance(bias := getattr(module, "bias", None), nn.Parameter):
            yield bias


def _dispatches(model: nn.Module) -> bool:
    return any(isinstance(m, DispatchedLayer) and len(m.dispatcher) for m in model.modules())


# What each method trains beside the heads.
TUNINGS: dict[str, Callable[[nn.Module], Iterable[nn.Parameter]]] = {
    "peft": _peft,
    "linear": lambda model: (),
    "bitfit": _biases,
    "full": lambda model: model.parameters(),
}


def set_trainable(model: nn.Module, tuning: str, heads: Iterable[str]) -> None:
    """Freeze everything but what a tuning method trains.

    Args:
        model: The model; its parts are found by class, its heads by name.
        tuning: - ``'peft'``: heads and what was added to the backbone:
              adapters and dispatchers (DyT, AdaptFormer), LoRA's factors,
              prompts (VPT), scales and shifts (SSF), relative position biases
              and every other :class:`~mmdyt.models.layers.TunedModule`.
            - ``'linear'``: heads only.
            - ``'bitfit'``: heads, every bias (BitFit) and what was added to the
              backbone, such as dispatchers.
            - ``'full'``: everything.
        heads: Names of direct children that always train; those that the
            model lacks or has as ``None`` are passed over.

    Raises:
        ValueError: If ``tuning`` is none of these.

    Warns:
        UserWarning: If ``tuning`` is ``'peft'`` and nothing was added to the
            backbone, or ``'linear'`` and dispatchers stay as they were drawn.
    """
    check_choice("model.tuning", tuning, TUNINGS)
    model.requires_grad_(False)
    chosen = list(TUNINGS[tuning](model))
    if tuning == "linear" and _dispatches(model):
        warnings.warn(
            "model.tuning='linear' leaves the token dispatchers as they were drawn: which tokens "
            "are skipped is left to chance. Choose 'peft' or 'full', or set backbone.dispatch=None",
            stacklevel=3,
        )
    if tuning == "peft" and not chosen:
        warnings.warn(
            "model.tuning='peft' finds nothing to train in the backbone, so that the head alone "
            "trains: set backbone.adapter, or another method of configs/_base_/tuning; "
            "model.tuning='linear' says that a linear probe is meant",
            stacklevel=3,
        )
    for param in chosen:
        param.requires_grad_(True)
    for name in heads:
        if (head := getattr(model, name, None)) is not None:
            head.requires_grad_(True)


def trainable_names(model: nn.Module) -> list[str]:
    """Names of the parameters that train, in the order of the model."""
    return [name for name, param in model.named_parameters() if param.requires_grad]
