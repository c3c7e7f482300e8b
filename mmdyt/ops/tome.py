"""Token merging (ToMe, Bolya et al., ICLR 2023, section 3).

Tokens that are not prefix tokens are divided alternately into sources and
destinations; the ``r`` sources that are most like a destination are averaged
into it. How many patches a token stands for is its size: averages are weighted
by it, and attention counts a key as often as its size says.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdyt.ops.cpu_autocast import attention


@dataclass(frozen=True)
class Matching:
    """Which tokens are merged into which, positions in the ``N`` of before.

    Args:
        kept: Tokens that remain, prefix tokens first, ``(B, N - r)``.
        merged: Sources that vanish, ``(B, r)``.
        into: Where each source goes, as a position in ``kept``, ``(B, r)``.
    """

    kept: Tensor
    merged: Tensor
    into: Tensor


def bipartite_soft_matching(metric: Tensor, r: int, num_prefix: int) -> Matching:
    """Pair the ``r`` most similar source tokens with their destinations.

    Args:
        metric: What similarity is measured on by cosine, ``(B, N, D)``; the
            method uses attention keys, averaged over heads.
        r: How many tokens to merge. At most half of the tokens behind the
            prefix can be; more are cut to that.
        num_prefix: Leading tokens that neither merge nor are merged into.

    Returns:
        The matching; no gradient flows through it.
    """
    with torch.no_grad():
        batch, num_tokens, _ = metric.shape
        positions = torch.arange(num_tokens, device=metric.device)
        prefix, rest = positions[:num_prefix], positions[num_prefix:]
        dst, src = rest[::2], rest[1::2]
        r = min(r, len(src))
        metric = F.normalize(metric, dim=-1)
        scores = metric[:, src] @ metric[:, dst].transpose(1, 2)  # (B, N_src, N_dst)
        best, partner = scores.max(dim=-1)  # (B, N_src)
        order = best.argsort(dim=-1, descending=True)
        merged, unmerged = order[:, :r], order[:, r:].sort(dim=-1).values
        kept = torch.cat(
            [prefix.expand(batch, -1), src[unmerged], dst.expand(batch, -1)], dim=1
        )  # (B, N - r)
        first_dst = num_prefix + len(src) - r
        return Matching(kept, src[merged], first_dst + partner.gather(1, merged))


def merge_tokens(x: Tensor, size: Tensor, matching: Matching) -> tuple[Tensor, Tensor]:
    """Average merged tokens, weighted by their sizes.

    Args:
        x: Token stream, ``(B, N, C)``.
        size: How many patches each token stands for, ``(B, N)``.
        matching: Of the same tokens.

    Returns:
        The stream, ``(B, N - r, C)``, and the sizes, ``(B, N - r)``. The sum of
        ``size * x`` stays, and kept tokens that receive nothing are untouched.
    """
    if matching.merged.shape[1] == 0:
        return _pick(x, matching.kept), size.gather(1, matching.kept)
    kept_size, merged_size = size.gather(1, matching.kept), size.gather(1, matching.merged)
    new_size = kept_size.scatter_add(1, matching.into, merged_size)
    # Convex weights instead of a sum and a division leave unmerged tokens exact.
    share = (kept_size / new_size).to(x.dtype).unsqueeze(-1)
    given = (merged_size / new_size.gather(1, matching.into)).to(x.dtype).unsqueeze(-1)
    into = matching.into.unsqueeze(-1).expand(-1, -1, x.shape[-1])
    merged = _pick(x, matching.kept) * share
    return merged.scatter_add(1, into, _pick(x, matching.merged) * given), new_size


def _pick(x: Tensor, positions: Tensor) -> Tensor:
    return x.gather(1, positions.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


def proportional_attention(
    q: Tensor, k: Tensor, v: Tensor, size: Tensor, dropout: float = 0.0
) -> Tensor:
    """Attention in which a key counts as often as its size says.

    ToMe equation 1: ``softmax(q k^T / sqrt(D) + log size) v``.

    Args:
        q: Queries, ``(B, N, H, D)``.
        k: Keys, ``(B, N, H, D)``.
        v: Values, ``(B, N, H, D)``.
        size: Sizes of the keys, ``(B, N)``.
        dropout: Attention dropout. Defaults to 0.

    Returns:
        ``(B, N, H, D)``.
    """
    bias = size.log().to(q.dtype)[:, None, None, :]  # (B, 1, 1, N)
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))  # (B, H, N, D)
    out = attention(q, k, v, attn_mask=bias, dropout_p=dropout)
    return out.transpose(1, 2)
