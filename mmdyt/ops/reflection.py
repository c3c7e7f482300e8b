"""Householder reflections in blocks of channels, without building a matrix."""

from __future__ import annotations

import torch
from torch import Tensor


def reflect(x: Tensor, u: Tensor, v: Tensor | None = None) -> Tensor:
    """Multiply the last dimension by ``blockdiag(H_1, ..., H_n)``.

    ``H_i = I - 2 u_i u_i^T``, or with ``v`` ``I - u_i u_i^T + v_i v_i^T``, for unit
    vectors ``u_i`` and ``v_i``: normalised here, in float32. Both are symmetric,
    the first is its own inverse. The product is two of rank ``n``, or ``2 n``,
    with ``2 n C`` or ``4 n C`` multiply-adds a row.

    Args:
        x: ``(..., C)``.
        u: Directions of the ``n`` blocks, ``(n, C / n)``, of any length but 0.
        v: Likewise. Defaults to ``None``.

    Returns:
        A tensor shaped as ``x``.
    """
    along = _columns(u, x.dtype)  # (C, n)
    if v is None:
        return x - 2 * (x @ along) @ along.t()
    added = _columns(v, x.dtype)
    both, signed = torch.cat([along, added], dim=1), torch.cat([-along, added], dim=1)
    return x + (x @ both) @ signed.t()


def _columns(directions: Tensor, dtype: torch.dtype) -> Tensor:
    """Unit vectors as the columns of a matrix, each in its own block, ``(C, n)``."""
    long = directions.float()
    unit = long / long.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    return torch.block_diag(*unit).t().to(dtype)
