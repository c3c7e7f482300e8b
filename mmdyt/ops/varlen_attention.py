"""Attention among the active tokens of each image.

Images of a batch have different numbers of active tokens. Training keeps the
full length and masks keys (:func:`masked_attention`); inference packs the
active tokens of all images into one sequence. On a CPU that is never padded
(:func:`varlen_attention`); a GPU or a compiled graph, which would wait for the
lengths, attends at full length again (:func:`padded_attention`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmdyt.ops.cpu_autocast import attention
from mmdyt.ops.token_select import is_compiling


def is_padded(x: Tensor) -> bool:
    """Whether attention among active tokens runs at the full length here.

    Args:
        x: Any tensor of the stream; its device counts.
    """
    return not x.is_cpu or is_compiling()


def masked_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, dropout: float = 0.0) -> Tensor:
    """Attention in which every query sees the active keys and itself.

    For an active query this is attention among active tokens. An inactive
    query's output never reaches the stream, only its dispatcher's gradient:
    there it stands for what the token would get if it alone were switched on.
    As every query sees itself, no softmax runs over an empty set.

    Args:
        q: Queries, ``(B, N, H, D)``.
        k: Keys, ``(B, N, H, D)``.
        v: Values, ``(B, N, H, D)``.
        mask: Active tokens, ``(B, N)``, bool.
        dropout: Attention dropout. Defaults to 0.

    Returns:
        ``(B, N, H, D)``.
    """
    num_tokens = mask.shape[1]
    itself = torch.eye(num_tokens, dtype=torch.bool, device=mask.device)
    visible = mask[:, None, None, :] | itself  # (B, 1, N, N)
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))  # (B, H, N, D)
    out = attention(q, k, v, attn_mask=visible, dropout_p=dropout)
    return out.transpose(1, 2)


def varlen_attention(q: Tensor, k: Tensor, v: Tensor, counts: Tensor) -> Tensor:
    """Attention within each segment of a packed sequence.

    One attention an image: on a CPU, where it is measured, this is as fast as
    or faster than batching images of equal length, padding to the longest one,
    and torch's nested tensors (``projects/benchmarks/varlen_attention.py``).

    Args:
        q: Queries of all images after one another, ``(K, H, D)``.
        k: Keys, ``(K, H, D)``.
        v: Values, ``(K, H, D)``.
        counts: Length of each image's segment, ``(B,)``, summing to ``K``.

    Returns:
        ``(K, H, D)``.
    """
    lengths = counts.tolist()
    out = torch.empty_like(q)
    start = 0
    for length in lengths:
        if length:
            segment = slice(start, start + length)
            q_i, k_i, v_i = (t[segment].transpose(0, 1).unsqueeze(0) for t in (q, k, v))
            attended = attention(q_i, k_i, v_i)  # (1, H, n, D)
            out[segment] = attended[0].transpose(0, 1)
        start += length
    return out


def padded_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, indices: Tensor) -> Tensor:
    """Do what :func:`varlen_attention` does, without lengths on the host.

    Only the two products of attention itself run at full length, 4 % of the
    multiply-adds of ViT-B/16 at 224 px; the linear maps around it do not.

    Args:
        q: Queries of all images after one another, ``(K, H, D)``.
        k: Keys, ``(K, H, D)``.
        v: Values, ``(K, H, D)``.
        mask: Active tokens, ``(B, N)``, bool.
        indices: Their positions in ``B * N``, ``(K,)``.

    Returns:
        ``(K, H, D)``.
    """

    def spread(packed: Tensor) -> Tensor:  # (K, H, D) -> (B, N, H, D)
        zeros = packed.new_zeros(mask.numel(), *packed.shape[1:])
        return zeros.index_copy(0, indices, packed).view(*mask.shape, *packed.shape[1:])

    out = masked_attention(spread(q), spread(k), spread(v), mask)
    return out.flatten(0, 1).index_select(0, indices)  # (B, N, H, D) -> (K, H, D)
