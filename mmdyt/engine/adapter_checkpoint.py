"""Adapter-only checkpoints: what was trained, without the frozen backbone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

import mmdyt
from mmdyt.fileio import load_from_safetensors, save_safetensors

FORMAT = "mmdyt-adapter"


def split_state(
    model: nn.Module, state_dict: Mapping[str, Tensor] | None = None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Divide a model's state into what trains and what is frozen.

    Args:
        model: A model whose ``requires_grad`` flags are set.
        state_dict: Values to take for the first part, such as averaged ones.
            Defaults to ``None``: the model's own.

    Returns:
        Two dicts by name: trainable parameters and buffers; frozen parameters.
    """
    # Not out of state_dict(): mmpretrain's LoRAModel leaves its frozen part out of that.
    frozen = {
        name: param.data for name, param in model.named_parameters() if not param.requires_grad
    }
    state = model.state_dict() if state_dict is None else state_dict
    return {name: tensor for name, tensor in state.items() if name not in frozen}, frozen


def fingerprint(tensors: Mapping[str, Tensor]) -> dict[str, list[float]]:
    """Mean and standard deviation of each tensor.

    Enough to tell one pre-trained model from another, and, unlike a hash,
    indifferent to the last bits of a resized position embedding.

    Args:
        tensors: Tensors by name.

    Returns:
        ``[mean, std]`` by name.
    """
    moments = {}
    for name, tensor in tensors.items():
        values = tensor.detach().double()
        moments[name] = [values.mean().item(), values.std(correction=0).item()]
    return moments


def save_adapter(
    model: nn.Module,
    target: str | Path,
    state_dict: Mapping[str, Tensor] | None = None,
    base: dict[str, list[float]] | None = None,
    **meta,
) -> None:
    """Write trainable parameters and buffers, with a fingerprint of the rest.

    Args:
        model: The model, not wrapped for data parallel training.
        target: A ``.safetensors`` file, written atomically.
        state_dict: As :func:`split_state`. Defaults to ``None``.
        base: :func:`fingerprint` of the frozen part, if known. Defaults to
            ``None``: computed here.
        **meta: Further facts for the reader, such as ``config``.
    """
    own, frozen = split_state(model, state_dict)
    facts = dict(
        format=FORMAT,
        mmdyt_version=mmdyt.__version__,
        base=fingerprint(frozen) if base is None else base,
        **meta,
    )
    save_safetensors(target, own, facts)


def check_adapter(model: nn.Module, state_dict: dict[str, Tensor], meta: dict, source: str) -> None:
    """Refuse an adapter that does not belong to a model.

    Args:
        model: The model, with its base weights loaded.
        state_dict: The adapter's tensors.
        meta: What :func:`save_adapter` stored beside them.
        source: How to call the adapter in an error, such as its path.

    Raises:
        ValueError: If the file holds no adapter; if a name or a shape differs;
            or if the base weights are not those it was trained on. The error
            names the first differences and the config of the adapter.
    """
    if meta.get("format") != FORMAT:
        raise ValueError(f"{source} is no adapter checkpoint: format {meta.get('format')!r}")
    own, frozen = split_state(model)
    told = f"{source}, trained with config {meta.get('config', '?')!r},"
    missing, odd = sorted(own.keys() - state_dict.keys()), sorted(state_dict.keys() - own.keys())
    if missing or odd:
        raise ValueError(
            f"{told} does not match this model: it lacks {missing[:3]} ({len(missing)} in all) "
            f"and has beyond it {odd[:3]} ({len(odd)} in all)"
        )
    for name, tensor in own.items():
        if tensor.shape != state_dict[name].shape:
            raise ValueError(
                f"{told} does not match this model: {name} is {tuple(state_dict[name].shape)}, "
                f"the model has {tuple(tensor.shape)}"
            )
    base = meta.get("base", {})
    for name, (mean, std) in fingerprint(frozen).items():
        theirs = base.get(name, (math.nan, math.nan))
        if not all(map(_close, theirs, (mean, std))):
            raise ValueError(
                f"{told} belongs to other base weights ({meta.get('pretrained') or 'not named'}), "
                f"first seen at {name}: set init_cfg of the backbone to the checkpoint that it was "
                "trained on"
            )


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-3, abs_tol=1e-6)


def load_adapter(model: nn.Module, source: str | Path) -> dict:
    """Load an adapter-only checkpoint on top of a base.

    Args:
        model: The model, with its base weights loaded (``init_weights()``).
        source: A file of :func:`save_adapter`.

    Returns:
        The meta data of the file.

    Raises:
        ValueError: As :func:`check_adapter`.
    """
    checkpoint = load_from_safetensors(str(source))
    check_adapter(model, checkpoint["state_dict"], checkpoint["meta"], str(source))
    model.load_state_dict(checkpoint["state_dict"], strict=False)
    return checkpoint["meta"]
