"""The heads of the released segmentation model: mmsegmentation's UPerNet and an auxiliary FCN."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mmdyt.registry import MODELS


def seg_heads(
    width: int, channels: int, num_classes: int, auxiliary_channels: int | None
) -> dict[str, nn.Module]:
    """Build the heads without memory.

    Args:
        width: Channels of the maps that they read, ``C``.
        channels: Channels inside of the UPerNet.
        num_classes: Number of classes.
        auxiliary_channels: Channels inside of the FCN, ``None`` without one.

    Returns:
        The modules by their prefix in a checkpoint.
    """
    import mmdyt.integrations.mmseg  # noqa: F401  # registers mmseg's heads

    shared = dict(num_classes=num_classes, norm_cfg=dict(type="BN"), align_corners=False)
    configs: dict[str, dict[str, Any]] = {
        "decode_head.": dict(
            type="mmseg.UPerHead", in_channels=[width] * 4, in_index=[0, 1, 2, 3], channels=channels
        )
    }
    if auxiliary_channels is not None:
        configs["auxiliary_head."] = dict(
            type="mmseg.FCNHead",
            in_channels=width,
            in_index=2,
            channels=auxiliary_channels,
            num_convs=1,
            concat_input=False,
        )
    with torch.device("meta"):
        return {prefix: MODELS.build(cfg | shared) for prefix, cfg in configs.items()}


def seg_head_names(auxiliary: bool) -> list[str]:
    """Name the tensors of the heads, with or without the auxiliary one."""
    heads = seg_heads(1, 1, 3, 1 if auxiliary else None)
    return [f"{prefix}{name}" for prefix, head in heads.items() for name in head.state_dict()]
