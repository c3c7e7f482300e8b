"""Leave out of a trained model what its inference does not need."""

from __future__ import annotations

from collections import defaultdict

import torch
from rich.progress import track
from torch import Tensor, nn

from mmdyt.engine.deployment import Logits
from mmdyt.models.adapters import BottleneckAdapter
from mmdyt.models.layers import rules
from mmdyt.models.utils import collect_dispatch, dispatched_layers, merged

# Modules that only the branch of this name uses.
PARTS = {"attn": ("ln1", "attn"), "mlp": ("ln2", "norm2", "ffn")}


@torch.no_grad()
def idle_branches(model: nn.Module, batches: list[Tensor]) -> set[tuple[int, str]]:
    """Find the dispatchers that activated no token beyond the prefix.

    Args:
        model: A classifier, segmentor or recognizer.
        batches: Preprocessed images, ``(B, 3, H, W)`` each, or clips of frames.

    Returns:
        Layer and branch of each.
    """
    active: dict[tuple[int, str], int] = defaultdict(int)
    for batch in track(batches, "looking for idle branches", transient=True):
        with collect_dispatch(model) as records:
            Logits(model)(batch)
        for record in records:
            beyond = record.mask[:, record.num_prefix :]
            active[record.layer, record.branch] += int(beyond.sum())
    return {key for key, count in active.items() if count == 0}


@torch.no_grad()
def slim(model: nn.Module, idle: set[tuple[int, str]]) -> nn.Module:
    """Make a copy without what inference does not need.

    Args:
        model: A model; it is left alone.
        idle: Branches that no token beyond the prefix needs.

    Returns:
        A model of the same logits wherever these branches are idle.
    """
    model = merged(model)
    for module in model.modules():
        if isinstance(module, BottleneckAdapter) and isinstance(module.norm_out, nn.Identity):
            module.up.weight.mul_(module.scale)
            module.up.bias.mul_(module.scale)
            module.scale = 1.0
    for layer in dispatched_layers(model):
        for name in {branch for index, branch in idle if index == layer.layer_index}:
            layer.fixed_rules[name] = rules.prefix_only
            del layer.dispatcher[name]
            for part in PARTS.get(name, ()) if layer.num_prefix == 0 else ():
                if hasattr(layer, part):
                    setattr(layer, part, nn.Identity())
    return model
