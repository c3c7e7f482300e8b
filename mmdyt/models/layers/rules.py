"""How ``M * Block(x)`` is computed and added: functions of one signature.

Each takes the layer, the name of one of its branches, the stream that the
adapter has been added to (``base = x + Adapter(x)``), the stream ``x`` before
it, both ``(B, N, C)``, and the mask ``M``, ``(B, N)``, or ``None`` where every
token takes part. Each returns ``base + M * Block(x)``, ``(B, N, C)``; ``base``
may be changed, ``x`` is not. They agree on values and gradients, and differ in
what they compute. :meth:`DispatchedLayer.rule` chooses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mmdyt.models.layers.decisions import TopTokens
from mmdyt.ops import (
    active_graph,
    active_indices,
    gather_tokens,
    is_traced,
    masked_branch,
    scatter_add_tokens,
)
from mmdyt.structures import TokenSelection

if TYPE_CHECKING:
    from mmdyt.models.layers.dispatched_layer import DispatchedLayer

Rule = Callable[["DispatchedLayer", str, Tensor, Tensor, "Tensor | None"], Tensor]


def dense(
    layer: DispatchedLayer, name: str, base: Tensor, x: Tensor, mask: Tensor | None
) -> Tensor:
    """Compute every token: there is no dispatcher, or this is the complete model."""
    return base + layer.branch(name)(x, None)


def masked(
    layer: DispatchedLayer, name: str, base: Tensor, x: Tensor, mask: Tensor | None
) -> Tensor:
    """Compute every token and multiply by the mask: the definition, as in training."""
    assert mask is not None
    block = layer.branch(name)(x, TokenSelection(mask.detach().bool()))
    return base + masked_branch(block, mask)


def active_only(
    layer: DispatchedLayer, name: str, base: Tensor, x: Tensor, mask: Tensor | None
) -> Tensor:
    """As :func:`masked` for branches of single tokens, with a graph of the active ones only."""
    assert mask is not None
    branch = layer.branch(name)
    block = active_graph(lambda tokens: branch(tokens, None), x, mask.detach().bool())
    return base + masked_branch(block, mask)


def skipping(
    layer: DispatchedLayer, name: str, base: Tensor, x: Tensor, mask: Tensor | None
) -> Tensor:
    """Compute the active tokens only and add them where they belong: inference."""
    assert mask is not None
    mask = mask.bool()
    indices = active_indices(mask)
    if not is_traced():  # a recorded graph takes one way for any number of active tokens
        if indices.numel() == mask.numel():
            return dense(layer, name, base, x, None)
        if indices.numel() == 0:
            return base
    block = layer.branch(name)(gather_tokens(x, indices), TokenSelection(mask, indices))
    return scatter_add_tokens(_own(base, x), indices, block)


def capacity(
    layer: DispatchedLayer, name: str, base: Tensor, x: Tensor, mask: Tensor | None
) -> Tensor:
    """As :func:`skipping` for a decision of ``k`` tokens in every image: ``(B, k, C)``.

    No shape depends on values, and attention is one call without masks, as all
    images have the same number of active tokens.
    """
    assert mask is not None
    decision = layer.fixed_decisions[name]
    assert isinstance(decision, TopTokens)
    images, num_tokens = mask.shape
    k = decision.num_active(num_tokens, layer.num_prefix)
    places = mask.to(torch.float32).topk(k, dim=1).indices  # (B, k)
    first = num_tokens * torch.arange(images, device=x.device).unsqueeze(1)  # (B, 1)
    indices = (places + first).flatten()  # (B * k,), positions in B * N
    tokens = gather_tokens(x, indices).view(images, k, x.shape[-1])
    block = layer.branch(name)(tokens, None)  # (B, k, C)
    return scatter_add_tokens(_own(base, x), indices, block.flatten(0, 1))


def prefix_only(
    layer: DispatchedLayer, name: str, base: Tensor, x: Tensor, mask: Tensor | None
) -> Tensor:
    """Compute the prefix tokens only, which are always active."""
    if (prefix := layer.num_prefix) == 0:
        return base
    first = base[:, :prefix] + layer.branch(name)(x[:, :prefix], None)  # (B, P, C)
    return torch.cat([first, base[:, prefix:]], dim=1)


def _own(base: Tensor, x: Tensor) -> Tensor:
    """A contiguous stream that may be added to in place.

    Without a class token the stream starts as a transposed view of the patches.
    """
    if base is x:
        return base.clone(memory_format=torch.contiguous_format)
    return base.contiguous()
