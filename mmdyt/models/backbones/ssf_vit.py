"""Scaling and shifting of features."""

from __future__ import annotations

from torch import Tensor, nn

from mmdyt.models.backbones.dyt_vit import DyTViT
from mmdyt.models.layers import ScaleShift
from mmdyt.models.utils import dispatched_layers
from mmdyt.registry import MODELS


def _scale_shift(module: nn.Module, _args: tuple, out: Tensor) -> Tensor:
    return module.get_submodule("ssf")(out)


@MODELS.register_module()
class SSFViT(DyTViT):
    """``DyTViT`` with a scale and a shift behind every frozen operation.

    SSF (Lian et al., NeurIPS 2022), of which this is the plain form with
    ``dispatch=None, adapter=None``: behind the patch projection, every linear
    layer and every LayerNorm, but not inside adapters and dispatchers. The
    weights of the plain ViT keep their names; only ``*.ssf.*`` is added.

    Args:
        *args: As ``DyTViT``.
        **kwargs: As ``DyTViT``.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        ours = {
            module
            for layer in dispatched_layers(self)
            for part in (layer.adapter, layer.dispatcher)
            for module in part.modules()
        }
        for module in list(self.modules()):
            if module in ours:
                continue
            if isinstance(module, nn.Linear):
                module.ssf = ScaleShift(module.out_features)
            elif isinstance(module, nn.LayerNorm):
                module.ssf = ScaleShift(module.normalized_shape[0])
            elif isinstance(module, nn.Conv2d):
                module.ssf = ScaleShift(module.out_channels, dim=-3)
            else:
                continue
            module.register_forward_hook(_scale_shift)
