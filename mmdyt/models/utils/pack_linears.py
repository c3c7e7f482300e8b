"""Prepare a model for inference on a CPU."""

from __future__ import annotations

import torch
from mmcv.cnn.bricks.wrappers import Linear
from torch import nn

from mmdyt.models.layers import DispatchedLayer, PackedLinear

PLAIN = (nn.Linear, Linear)  # mmcv's differs for empty inputs in old torch only


def pack_linears(model: nn.Module) -> int:
    """Let the linear layers of a model keep their weights ready for CPU products.

    It takes the memory of these weights once more and changes results by
    rounding only. Adapters and dispatchers stay as they are: their products are
    narrow, or have a fast way of their own.

    Args:
        model: Any model; it is changed in place. Without oneDNN, nothing is.

    Returns:
        How many layers were packed.
    """
    if not torch.backends.mkldnn.is_available():
        return 0
    kept = {
        module
        for layer in model.modules()
        if isinstance(layer, DispatchedLayer)
        for part in (layer.adapter, layer.dispatcher)
        for module in part.modules()
    }
    linears = [m for m in model.modules() if type(m) in PLAIN and m not in kept]
    for linear in linears:
        linear.__class__ = PackedLinear
    return len(linears)
