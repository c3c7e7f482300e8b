"""Scaling and shifting of features."""

from __future__ import annotations

import torch
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
        std (float): Standard deviation of the initial scales around 1 and shifts
            around 0. Defaults to 0.
        **kwargs: As ``DyTViT``.
    """

    def __init__(self, *args, std: float = 0.0, **kwargs) -> None:
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
                module.ssf = ScaleShift(module.out_features, std=std)
            elif isinstance(module, nn.LayerNorm):
                module.ssf = ScaleShift(module.normalized_shape[0], std=std)
            elif isinstance(module, nn.Conv2d):
                module.ssf = ScaleShift(module.out_channels, dim=-3, std=std)
            else:
                continue
            module.register_forward_hook(_scale_shift)

    @torch.no_grad()
    def merge(self) -> nn.Module:
        """Fold scales and shifts into the operations, in place; return itself.

        Raises:
            ValueError: If an operation has no weight or bias to take them.
        """
        for name, module in list(self.named_modules()):
            if not isinstance(getattr(module, "ssf", None), ScaleShift):
                continue
            scale, shift = module.ssf.scale.flatten(), module.ssf.shift.flatten()
            if module.weight is None or module.bias is None:
                raise ValueError(f"{name} has no weight and bias that could take scale and shift")
            module.weight.mul_(scale.view(-1, *[1] * (module.weight.dim() - 1)))
            module.bias.mul_(scale).add_(shift)
            del module.ssf
            hooks = module._forward_hooks
            for key in [key for key, hook in hooks.items() if hook is _scale_shift]:
                del hooks[key]
        return self
