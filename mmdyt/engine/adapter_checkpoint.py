"""Adapter-only checkpoints: what was trained, without the frozen backbone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn

import mmdyt
from mmdyt.fileio import load_safetensors, save_safetensors

FORMAT = "mmdyt-adapter"


def split_state(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Divide a model's state into what trains and what is frozen.

    Args:
        model: A model whose ``requires_grad`` flags are set.

    Returns:
        Two dicts by name: trainable parameters and buffers; frozen parameters.
    """
    # Not out of state_dict(): mmpretrain's LoRAModel leaves its frozen part out of that.
    frozen = {
        name: param.data for name, param in model.named_parameters() if not param.requires_grad
    }
    own = {name: tensor for name, tensor in model.state_dict().items() if name not in frozen}
    return own, frozen


def digest(tensors: dict[str, Tensor]) -> str:
    """Fingerprint of names, shapes, types and values: SHA-256 in hex."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def save_adapter(
    model: nn.Module, target: str | Path, base_digest: str | None = None, **meta
) -> None:
    """Write trainable parameters and buffers, with a fingerprint of the rest.

    Args:
        model: The model, not wrapped for data parallel training.
        target: A ``.safetensors`` file, written atomically.
        base_digest: :func:`digest` of the frozen part, if known. Defaults to
            ``None``: computed here.
        **meta: Further facts for the reader, such as ``config``.
    """
    own, frozen = split_state(model)
    facts = dict(
        format=FORMAT,
        mmdyt_version=mmdyt.__version__,
        base_digest=base_digest or digest(frozen),
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
    if meta["base_digest"] != digest(frozen):
        raise ValueError(
            f"{told} belongs to other base weights ({meta.get('base') or 'not named'}): "
            "set init_cfg of the backbone to the checkpoint that it was trained on"
        )


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
    checkpoint = load_safetensors(str(source))
    check_adapter(model, checkpoint["state_dict"], checkpoint["meta"], str(source))
    model.load_state_dict(checkpoint["state_dict"], strict=False)
    return checkpoint["meta"]
