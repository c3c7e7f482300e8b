"""Fold what was tuned into the weights of a copy, for inference."""

from __future__ import annotations

import copy
from typing import Any

import torch
from mmpretrain.models.peft.lora import LoRALinear
from torch import nn


def merged(model: nn.Module) -> nn.Module:
    """Make a copy in which tuned weights stand in place of frozen ones and what tuned them.

    LoRA's products and every module (ETHER's, SSF's) with a method ``merge() -> nn.Module``, which
    returns what takes its place, are folded; adapters, prompts and prefixes,
    whose effect depends on the input, stay. The copy computes the same at the
    dense layers' cost. Adapter files name the frozen weights they belong to, so
    save them from the model itself.

    Args:
        model: Any model; it is left alone.

    Returns:
        The copy, in evaluation mode.
    """
    model = copy.deepcopy(model)
    merge: Any = getattr(model, "merge", None)
    if merge is not None:
        model = merge()
    for parent in list(model.modules()):
        children: list[tuple[str, Any]] = list(parent.named_children())
        for name, child in children:
            if isinstance(child, LoRALinear):
                setattr(parent, name, _merge_lora(child))
            elif hasattr(type(child), "merge"):
                setattr(parent, name, child.merge())
    model.is_merged = True  # type: ignore[assignment]
    model.eval()
    return model


@torch.no_grad()
def _merge_lora(lora: LoRALinear) -> nn.Module:
    linear = lora.original_layer
    linear.weight += lora.scaling * lora.lora_up.weight @ lora.lora_down.weight
    return linear
