"""The shapes that a converted checkpoint must have."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmdyt.converters.layouts import Entry
from mmdyt.converters.official import NUM_FRAMES
from mmdyt.converters.seg_heads import seg_heads
from mmdyt.models.heads import AttentivePool


def expected_shapes(
    source: Mapping[str, Tensor], entries: Sequence[Entry]
) -> dict[str, torch.Size]:
    """Build the model without memory; its sizes follow from a few of the source's tensors.

    Args:
        source: Tensors by name.
        entries: Where every tensor of the result comes from.

    Returns:
        Shapes by name in the result.

    Raises:
        ValueError: If one of the few tensors has another number of dimensions,
            or its patches are no square.
    """
    from mmdyt.integrations.mmpretrain import DyTImageClassifier

    by_target = {entry.target: entry for entry in entries}

    def checked(target: str, ndim: int) -> Tensor:
        entry = by_target[target]
        first = source[entry.sources[0]]
        if first.ndim != ndim:
            raise ValueError(
                f"{entry.sources[0]!r} has the wrong shape: {tuple(first.shape)}, "
                f"it should have {ndim} dimensions"
            )
        return entry.make([source[name] for name in entry.sources])

    patch = checked("backbone.patch_embed.projection.weight", 4)
    num_patches = checked("backbone.pos_embed", 3).shape[1] - 1
    grid = math.isqrt(max(num_patches, 0))
    if grid * grid != num_patches or grid == 0:
        name = by_target["backbone.pos_embed"].sources[0]
        raise ValueError(f"{name!r} has the wrong shape: {num_patches} patches are no square")
    num_layers = sum(target.endswith(".ln2.weight") for target in by_target)
    hidden = checked("backbone.layers.0.ffn.layers.0.0.weight", 2).shape[0]
    backbone: dict[str, Any] = dict(
        type="mmdyt.DyTViT",
        arch=dict(
            embed_dims=patch.shape[0],
            num_layers=num_layers,
            num_heads=1,
            feedforward_channels=hidden,
        ),
        img_size=grid * patch.shape[-1],
        patch_size=patch.shape[-1],
        in_channels=patch.shape[1],
        dispatch=None,
        adapter=None,
        layer_scale_init_value=float("backbone.layers.0.attn.gamma1.weight" in by_target),
    )
    down = "backbone.layers.0.adapter.mlp.down.weight"
    if down in by_target:
        adapter = dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=checked(down, 2).shape[0])
        backbone.update(dispatch="mlp", adapter=adapter)
    with torch.device("meta"):
        model = DyTImageClassifier(backbone=backbone, tuning="full")
        heads = _head_modules(checked, by_target, patch.shape[0])
    modules: dict[str, nn.Module] = {"": model, **heads}
    shapes = {
        f"{prefix}{name}": tensor.shape
        for prefix, module in modules.items()
        for name, tensor in module.state_dict().items()
    }
    for target in by_target:
        if target.endswith("rel_pos_bias.table"):  # of distances between patches, class token
            shapes[target] = torch.Size(((2 * grid - 1) ** 2 + 3, checked(target, 2).shape[1]))
    return shapes


def _head_modules(
    checked: Callable[[str, int], Tensor], by_target: Mapping[str, Entry], width: int
) -> dict[str, nn.Module]:
    """Build what a layout has beside the backbone, by prefix."""
    modules: dict[str, nn.Module] = {}
    for name in ("head.fc", "cls_head.fc_cls"):
        if f"{name}.weight" in by_target:
            modules[f"{name}."] = nn.Linear(width, checked(f"{name}.weight", 2).shape[0])
    if "cls_head.pool.query" in by_target:
        modules["cls_head.pool."] = AttentivePool(width, NUM_FRAMES, num_heads=1)
    for name in ("neck.upsample_4x.0", "neck.upsample_4x.3", "neck.upsample_2x.0"):
        if f"{name}.weight" in by_target:
            modules[f"{name}."] = nn.ConvTranspose2d(width, width, kernel_size=2, stride=2)
    if "neck.upsample_4x.1.weight" in by_target:
        modules["neck.upsample_4x.1."] = nn.BatchNorm2d(width)
    if "decode_head.conv_seg.weight" in by_target:
        num_classes, channels = checked("decode_head.conv_seg.weight", 4).shape[:2]
        hidden = "auxiliary_head.convs.0.conv.weight"
        auxiliary = checked(hidden, 4).shape[0] if hidden in by_target else None
        modules |= seg_heads(width, channels, num_classes, auxiliary)
    return modules
