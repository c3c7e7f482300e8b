"""Checkpoints of the method's released code: images, video, segmentation."""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import partial

import torch
from torch import Tensor

from mmdyt.converters.layouts import (
    TIMM_BLOCK,
    TIMM_MODULES,
    Entry,
    Layout,
    Sources,
    affine,
    count_blocks,
    stacked,
    torch_entries,
)
from mmdyt.converters.seg_heads import seg_head_names
from mmdyt.models.layers.relative_position_bias import distance_index

BLOCK = {
    **TIMM_BLOCK,
    "blocks.{}.adaptmlp.down_proj": "backbone.layers.{}.adapter.mlp.down",
    "blocks.{}.adaptmlp.up_proj": "backbone.layers.{}.adapter.mlp.up",
    "blocks.{}.mlp_token_select.mlp_head": "backbone.layers.{}.dispatcher.mlp.proj",
}
NUM_FRAMES = 8  # of the released video runs
NORM_EPS = 1e-5  # of torch's batch norms


def official_layout(keys: Collection[str]) -> Layout:
    """Lay out timm's names, adapters and dispatchers, and the heads of the task.

    Args:
        keys: Those of the checkpoint: ``query_token`` tells the video model,
            the prefix ``backbone.`` the segmentation model.

    Returns:
        The layout.
    """
    if "query_token" in keys:
        return _video_layout(keys)
    if "backbone.cls_token" in keys:
        return _segmentation_layout(keys)
    entries = torch_entries(
        TIMM_MODULES | {"head": "head.fc"}, BLOCK, count_blocks(keys, "blocks.")
    )
    return Layout(entries, ("pre_logits.",))


def _video_layout(keys: Collection[str]) -> Layout:
    """One query reads all frames; it knows no order, so that our frames' embedding is zero."""
    modules = TIMM_MODULES | {"head": "cls_head.fc_cls"}
    modules |= {f"attentive_blocks.norm_{x}": f"cls_head.pool.norm_{x}" for x in "qkv"}
    modules["attentive_blocks.cross_attn.proj"] = "cls_head.pool.attn.out_proj"
    attn, pool = "attentive_blocks.cross_attn", "cls_head.pool"
    entries = torch_entries(modules, BLOCK, count_blocks(keys, "blocks."))
    weights = tuple(f"{attn}.{name}.weight" for name in "qkv")
    entries += [
        Entry(f"{pool}.query", ("query_token",)),
        Entry(f"{pool}.temporal_embed", ("query_token",), _no_order),
        Entry(f"{pool}.attn.in_proj_weight", weights, stacked),
        Entry(f"{pool}.attn.in_proj_bias", (f"{attn}.q_bias", f"{attn}.v_bias"), _without_key_bias),
    ]
    return Layout(entries, ("pre_logits.",))


def _no_order(tensors: Sources) -> Tensor:
    return torch.zeros_like(tensors[0]).unsqueeze(1).repeat(1, NUM_FRAMES, 1, 1)  # -> (1, T, 1, C)


def _without_key_bias(tensors: Sources) -> Tensor:
    query, value = tensors
    return stacked([query, torch.zeros_like(query), value])


def _segmentation_layout(keys: Collection[str]) -> Layout:
    """The backbone ends without a norm, its pyramid is our neck, and heads keep their names."""
    root = "backbone."
    num_layers = count_blocks(keys, f"{root}blocks.")
    modules = {"patch_embed.proj": TIMM_MODULES["patch_embed.proj"]}
    entries = torch_entries(modules, BLOCK, num_layers, root)
    table, index = "attn.relative_position_bias_table", "attn.relative_position_index"
    if f"{root}blocks.0.{table}" in keys:
        for i in range(num_layers):
            names = f"{root}blocks.{i}.{table}", f"{root}blocks.{i}.{index}"
            made = partial(_table_of_our_distances, index_name=names[1])
            entries.append(Entry(f"backbone.layers.{i}.attn.rel_pos_bias.table", names, made))
    for old, new in {"1.0": "4x.0", "1.2": "4x.3", "2.0": "2x.0"}.items():
        entries += affine(f"neck.upsample_{new}", f"{root}fpn{old}")
    entries += _identity_norm("neck.upsample_4x.1", f"{root}fpn1.0.bias")
    auxiliary = any(key.startswith("auxiliary_head.") for key in keys)
    return Layout(entries + [Entry(name, (name,)) for name in seg_head_names(auxiliary)])


def _table_of_our_distances(tensors: Sources, index_name: str) -> Tensor:
    table, index = tensors
    side = math.isqrt(max(index.shape[:1].numel() - 1, 0))
    if not torch.equal(index.long(), distance_index(side, side, num_prefix=1)):
        raise ValueError(
            f"{index_name!r} does not number the distances of a square of patches and a class token"
        )
    return table


def _identity_norm(name: str, like: str) -> list[Entry]:
    """A batch norm that changes nothing in evaluation: the released pyramid has none there."""
    values = dict(weight=(1 + NORM_EPS) ** 0.5, bias=0.0, running_mean=0.0, running_var=1.0)
    entries = [
        Entry(f"{name}.{kind}", (like,), partial(_filled, value=value))
        for kind, value in values.items()
    ]
    return [*entries, Entry(f"{name}.num_batches_tracked", (like,), lambda _: torch.tensor(0))]


def _filled(tensors: Sources, value: float) -> Tensor:
    return torch.full_like(tensors[0], value)
