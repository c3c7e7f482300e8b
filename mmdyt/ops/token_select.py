"""Select tokens, run a branch on some of them, and put the result back.

Two executions of one equation, ``x + M * branch(x)``: :func:`masked_branch`
computes every token and multiplies by the mask (training); the chain
:func:`active_indices` -> :func:`gather_tokens` -> branch ->
:func:`scatter_add_tokens` computes the active ones only (inference).
:func:`active_graph` computes every token too, but builds the graph of the
active ones only, which leaves the gradients of :func:`masked_branch` as they are.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# Whether torch.compile or torch.export records; torch before 2.3, which has no such
# function, compiles no skipping.
is_compiling = getattr(torch.compiler, "is_compiling", bool)


def keep_prefix(mask: Tensor, num_prefix: int) -> Tensor:
    """Make the first ``num_prefix`` tokens (class token, prompts) active.

    Args:
        mask: Token mask, ``(B, N)``, bool or float.
        num_prefix: How many leading tokens are always active.

    Returns:
        The mask, ``(B, N)``, with ones in front; prefix tokens carry no gradient.
    """
    if num_prefix == 0:
        return mask
    ones = mask.new_ones(mask.shape[0], num_prefix)
    return torch.cat([ones, mask[:, num_prefix:]], dim=1)


def masked_branch(branch_out: Tensor, mask: Tensor) -> Tensor:
    """Multiply a branch's output by the mask of its tokens.

    Args:
        branch_out: What the branch computed for every token, ``(B, N, C)``.
        mask: Straight-through or boolean mask, ``(B, N)``.

    Returns:
        ``M * branch``, ``(B, N, C)``, in the dtype of ``branch_out``.
    """
    return branch_out * mask.to(branch_out.dtype).unsqueeze(-1)


def active_graph(branch: Callable[[Tensor], Tensor], x: Tensor, mask: Tensor) -> Tensor:
    """Run a branch on every token, for backward on the active ones only.

    A hard mask stops the gradient of an inactive token on its way into the
    branch; what the branch gives for it is needed as a value only, for the
    gradient of the mask. With :func:`masked_branch` behind it the gradients
    are those of ``masked_branch(branch(x), mask)``, for less backward work and
    without the activations of inactive tokens.

    Args:
        branch: A function of single tokens, ``(K, C)`` to ``(K, C)``, that
            draws no random numbers.
        x: Token stream, ``(B, N, C)``.
        mask: Boolean mask, ``(B, N)``.

    Returns:
        What the branch gives for every token, ``(B, N, C)``.
    """
    active, inactive = active_indices(mask), active_indices(~mask)
    # In this order: autocast keeps its casts of weights, and the first must have a graph.
    computed = branch(gather_tokens(x, active))
    with torch.no_grad():
        out = computed.new_empty(mask.numel(), x.shape[-1])
        out.index_copy_(0, inactive, branch(gather_tokens(x, inactive)))
    # Not index_copy_, which keeps `computed` for its backward pass.
    return out.index_put_((active,), computed).view(x.shape)  # (B * N, C) -> (B, N, C)


def is_traced() -> bool:
    """Whether ``torch.compile``, ``torch.export`` or ``torch.jit.trace`` records what runs now.

    What is recorded must not depend on values, such as the number of active tokens.
    """
    return is_compiling() or torch.jit.is_tracing()


def active_indices(mask: Tensor) -> Tensor:
    """Positions of active tokens in the flattened batch.

    Args:
        mask: Boolean mask, ``(B, N)``.

    Returns:
        Sorted ``int64`` indices into ``B * N``, ``(K,)``; ``K`` may be 0.
    """
    return mask.flatten().nonzero().squeeze(-1)


def gather_tokens(x: Tensor, indices: Tensor) -> Tensor:
    """Pick tokens out of a batch.

    Args:
        x: Token stream, ``(B, N, C)``.
        indices: Positions in ``B * N``, ``(K,)``.

    Returns:
        The tokens, ``(K, C)``.
    """
    return x.reshape(-1, x.shape[-1]).index_select(0, indices)


def scatter_add_tokens(base: Tensor, indices: Tensor, values: Tensor) -> Tensor:
    """Add values to some tokens of a stream, in place.

    Args:
        base: Contiguous stream to add to, ``(B, N, C)``. It is modified.
        indices: Positions in ``B * N``, ``(K,)``, each at most once.
        values: What to add, ``(K, C)``; cast to the dtype of ``base``, which
            under autocast is the wider of the two.

    Returns:
        ``base``.
    """
    base.view(-1, base.shape[-1]).index_add_(0, indices, values.to(base.dtype))
    return base
