"""A head must be as wide as the backbone that feeds it."""

from __future__ import annotations

from torch import nn


def check_head_width(backbone: nn.Module, head: nn.Module | None, key: str) -> None:
    """Refuse a head for features of another width.

    Args:
        backbone: With ``num_features``, a list by stage, or ``embed_dims``;
            others are passed over.
        head: With ``in_channels``; others are passed over.
        key: Where the head stands in the config, such as ``'model.head'``.

    Raises:
        ValueError: Naming the key and both widths.
    """
    width = getattr(backbone, "num_features", None) or getattr(backbone, "embed_dims", None)
    if isinstance(width, (list, tuple)):
        width = width[-1]
    given = getattr(head, "in_channels", None)
    if isinstance(width, int) and isinstance(given, int) and given != width:
        raise ValueError(
            f"{key}.in_channels must be {width}, the width of model.backbone, got {given}"
        )
