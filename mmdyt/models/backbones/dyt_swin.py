"""The Swin Transformer of Dynamic Tuning."""

from __future__ import annotations

from typing import Any

from mmpretrain.models.backbones import SwinTransformer
from torch import nn

from mmdyt.models.backbones.dispatched_backbone import DispatchedBackbone
from mmdyt.models.layers import DyTSwinBlock
from mmdyt.registry import MODELS


def _rename_old_keys(module: Any, state_dict: dict, prefix: str, *_) -> None:
    """Take checkpoints of mmcls: the parent does so for its exact class only."""
    for name in ("weight", "bias"):
        if f"{prefix}norm.{name}" in state_dict:
            last = f"{prefix}norm{len(module.stages) - 1}.{name}"
            state_dict[last] = state_dict.pop(f"{prefix}norm.{name}")
    for key in [key for key in state_dict if key.startswith(prefix) and "attn_mask" in key]:
        del state_dict[key]


@MODELS.register_module()
class DyTSwinTransformer(DispatchedBackbone, SwinTransformer):
    """mmpretrain's ``SwinTransformer`` with adapters and MLP dispatch.

    Layers are its blocks, counted over the stages.

    Args:
        *args: As ``SwinTransformer``.
        **kwargs: As ``SwinTransformer`` and :class:`DispatchedBackbone`;
            ``dispatch`` is ``'mlp'`` or ``None``.

    Raises:
        ValueError: As :class:`DispatchedBackbone`.
    """

    layer_class = DyTSwinBlock
    load_hooks = (_rename_old_keys, *DispatchedBackbone.load_hooks)

    def plain_layers(self) -> list[nn.Module]:
        """The blocks of all stages, in order."""
        return [block for stage in self.stages for block in stage.blocks]
