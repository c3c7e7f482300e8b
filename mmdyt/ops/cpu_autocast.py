"""What bfloat16 autocast on a CPU wants otherwise than float32: fixed shapes, float32 attention."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def autocasts_on_cpu() -> bool:
    """Whether a CPU's operations are cast to bfloat16 here."""
    try:
        return torch.is_autocast_enabled("cpu")
    except TypeError:  # torch before 2.4
        return torch.is_autocast_cpu_enabled()


def attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **kwargs: Any
) -> Tensor:
    """Run torch's ``scaled_dot_product_attention``, but in float32 where a CPU trains in bfloat16.

    There the backward pass of torch 2.12's bfloat16 kernel takes eight times
    as long as that of float32 (batch 32, six heads, 50 tokens).

    Args:
        query: ``(B, H, N, D)``.
        key: ``(B, H, M, D)``.
        value: ``(B, H, M, D)``.
        attn_mask: Broadcast to ``(B, H, N, M)``. Defaults to ``None``.
        **kwargs: As ``scaled_dot_product_attention``.

    Returns:
        ``(B, H, N, D)``, of the dtype of ``query``.
    """
    slow = query.device.type == "cpu" and query.dtype == torch.bfloat16
    if not (slow and torch.is_grad_enabled()):
        return F.scaled_dot_product_attention(query, key, value, attn_mask, **kwargs)
    if attn_mask is not None and attn_mask.is_floating_point():
        attn_mask = attn_mask.float()
    with torch.autocast("cpu", enabled=False):
        q, k, v = query.float(), key.float(), value.float()
        return F.scaled_dot_product_attention(q, k, v, attn_mask, **kwargs).to(query.dtype)
