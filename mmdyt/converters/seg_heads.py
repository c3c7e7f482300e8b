"""The heads of the released segmentation model: mmsegmentation's UPerNet and an auxiliary FCN."""

from __future__ import annotations

import torch
from torch import nn


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
    from mmseg.models.decode_heads import FCNHead, UPerHead

    import mmdyt.integrations.mmseg  # noqa: F401  # lets mmseg take this mmcv

    shared = dict(num_classes=num_classes, norm_cfg=dict(type="BN"), align_corners=False)
    with torch.device("meta"):
        decode = UPerHead(
            in_channels=[width] * 4, in_index=[0, 1, 2, 3], channels=channels, **shared
        )
        heads: dict[str, nn.Module] = {"decode_head.": decode}
        if auxiliary_channels is not None:
            heads["auxiliary_head."] = FCNHead(
                in_channels=width,
                in_index=2,
                channels=auxiliary_channels,
                num_convs=1,
                concat_input=False,
                **shared,
            )
    return heads


def seg_head_names(auxiliary: bool) -> list[str]:
    """Name the tensors of the heads, with or without the auxiliary one."""
    heads = seg_heads(1, 1, 2, 1 if auxiliary else None)
    return [f"{prefix}{name}" for prefix, head in heads.items() for name in head.state_dict()]
