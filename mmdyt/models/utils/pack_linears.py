"""Prepare a model for inference on a CPU."""

from __future__ import annotations

import torch
from mmcv.cnn.bricks.wrappers import Linear
from torch import nn

from mmdyt.models.layers import DispatchedLayer, PackedLinear

PLAIN = (nn.Linear, Linear)  # mmcv's differs for empty inputs in old torch only


def pack_linears(model: nn.Module) -> int:
    """Turn a model into one for inference in float32 on a CPU, for good.

    The weights of its linear layers are rearranged for the products of oneDNN,
    which changes results by rounding only and takes no more memory. The model
    is put into evaluation, nothing of it trains any more, and it can no longer
    be loaded, saved or copied: train, load and copy before. Adapters and
    dispatchers stay as they are: their products are narrow, or have a fast way
    of their own.

    Args:
        model: Any model that calls its linear layers; it is changed in place.
            Those whose host reads the weights itself, as mmpretrain's BEiT
            does, cannot be packed. Without oneDNN the layers are left alone.

    Returns:
        How many layers were packed.

    Raises:
        ValueError: If a linear layer is not in float32 on the CPU; the model is
            then left as it was.
    """
    kept = {
        module
        for layer in model.modules()
        if isinstance(layer, DispatchedLayer)
        for part in (layer.adapter, layer.dispatcher)
        for module in part.modules()
    }
    linears = {n: m for n, m in model.named_modules() if type(m) in PLAIN and m not in kept}
    for name, linear in linears.items():
        weight = linear.weight
        if weight.device.type != "cpu" or weight.dtype != torch.float32:
            raise ValueError(
                f"pack_linears takes models in float32 on the CPU, got {name}.weight in "
                f"{weight.dtype} on {weight.device}: model.float().cpu() first"
            )
    model.eval()  # not chained: mmpretrain's backbones return None
    model.requires_grad_(False)
    if not torch.backends.mkldnn.is_available():
        return 0
    for linear in linears.values():
        PackedLinear.from_linear(linear)
    return len(linears)
