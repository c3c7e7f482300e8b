"""Where every tensor of a converted checkpoint comes from, one table a source format."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Sources = Sequence[Tensor]


@dataclass(frozen=True)
class Entry:
    """Where one tensor of the result comes from.

    Args:
        target: Its name in ``mmdyt.DyTImageClassifier``.
        sources: The names of what it is made of in the other code base.
        make: How; by default the only source as it is.
    """

    target: str
    sources: tuple[str, ...]
    make: Callable[[Sources], Tensor] = lambda tensors: tensors[0]


@dataclass(frozen=True)
class Layout:
    """What a checkpoint must hold.

    Args:
        entries: One for every tensor of the result.
        ignored: Keys that start so are left out: heads of the pre-training.
    """

    entries: list[Entry]
    ignored: tuple[str, ...] = ()


def count_blocks(keys: Collection[str], before: str) -> int:
    """Count the blocks.

    Args:
        keys: Those of a checkpoint.
        before: What stands before the index of a block.

    Returns:
        The highest index and one; 1 without any.
    """
    heads = [key[len(before) :] for key in keys if key.startswith(before)]
    indices = [head.replace("/", ".").split(".")[0] for head in heads]
    return max([int(index) + 1 for index in indices if index.isdigit()], default=1)


# Modules with a weight and a bias, by their names in timm; {} is the block.
TIMM_MODULES = {
    "patch_embed.proj": "backbone.patch_embed.projection",
    "norm": "backbone.ln1",
}
TIMM_BLOCK = {
    "blocks.{}.norm1": "backbone.layers.{}.ln1",
    "blocks.{}.attn.qkv": "backbone.layers.{}.attn.qkv",
    "blocks.{}.attn.proj": "backbone.layers.{}.attn.proj",
    "blocks.{}.norm2": "backbone.layers.{}.ln2",
    "blocks.{}.mlp.fc1": "backbone.layers.{}.ffn.layers.0.0",
    "blocks.{}.mlp.fc2": "backbone.layers.{}.ffn.layers.1",
}


def timm_layout(keys: Collection[str]) -> Layout:
    """Lay out a timm ViT: names change, tensors stay."""
    entries = torch_entries(TIMM_MODULES, TIMM_BLOCK, count_blocks(keys, "blocks."))
    return Layout(entries, ("head.", "pre_logits."))


def torch_entries(
    modules: dict[str, str], block: dict[str, str], num_layers: int, root: str = ""
) -> list[Entry]:
    """Take tokens and modules as they are.

    Args:
        modules: New names of modules with a weight and a bias, by their old ones.
        block: As ``modules``, of a block, whose index stands for ``{}``.
        num_layers: Number of blocks.
        root: What stands before all old names. Defaults to ``''``.

    Returns:
        The entries.
    """
    pairs = dict(modules)
    for index in range(num_layers):
        pairs |= {old.format(index): new.format(index) for old, new in block.items()}
    tokens = [Entry(f"backbone.{name}", (f"{root}{name}",)) for name in ("cls_token", "pos_embed")]
    return tokens + [entry for old, new in pairs.items() for entry in affine(new, f"{root}{old}")]


def stacked(tensors: Sources) -> Tensor:
    """Put queries, keys and values of one shape below each other, ``(3 * C, ...)``."""
    return torch.stack(list(tensors)).flatten(0, 1)


def affine(new: str, old: str) -> list[Entry]:
    """Take a weight and a bias as they are."""
    return [Entry(f"{new}.{kind}", (f"{old}.{kind}",)) for kind in ("weight", "bias")]
