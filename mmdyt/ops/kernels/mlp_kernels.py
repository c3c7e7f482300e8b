"""The two Triton kernels of ``mmdyt.ops.kernels.fused_mlp``.

Both are launched for as many rows as there are tokens. A program reads the
number of active ones on the device, and returns at once where its rows lie
beyond it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import triton
import triton.language as tl
from torch import Tensor

from mmdyt.ops.kernels.fused_mlp import INTERPRETED

# Rows, columns and depth of a tile; warps; stages of the pipeline.
TILES = [
    (128, 128, 64, 8, 3),
    (128, 128, 32, 4, 4),
    (64, 128, 64, 4, 3),
    (64, 64, 64, 4, 4),
    (32, 64, 64, 4, 4),
    (32, 32, 32, 4, 2),
]
CONFIGS = [
    triton.Config(
        dict(BLOCK_M=rows, BLOCK_N=cols, BLOCK_K=depth), num_warps=warps, num_stages=stages
    )
    for rows, cols, depth, warps, stages in TILES
]
if INTERPRETED:  # which can time nothing: one small tile
    CONFIGS = [triton.Config(dict(BLOCK_M=16, BLOCK_N=16, BLOCK_K=16))]
UPCAST = tl.constexpr(INTERPRETED)  # the interpreter multiplies the bits of bfloat16
SHAPE_KEY = ["size_class", "width", "hidden_width"]


@triton.jit
def _row_statistics(x_rows, alive, width, eps, BLOCK_M: tl.constexpr, BLOCK_K: tl.constexpr):
    """Mean and reciprocal deviation of rows, ``(BLOCK_M,)`` each.

    Two passes: the mean square less the squared mean would cancel in streams
    with the large channels that ViTs have.
    """
    depth = tl.arange(0, BLOCK_K)
    total = tl.zeros((BLOCK_M,), dtype=tl.float32)
    for start in range(0, width, BLOCK_K):
        inside = alive[:, None] & (start + depth < width)[None, :]
        x = tl.load(x_rows[:, None] + (start + depth)[None, :], mask=inside, other=0.0)
        total += tl.sum(x.to(tl.float32), axis=1)
    mean = total / width
    total = tl.zeros((BLOCK_M,), dtype=tl.float32)
    for start in range(0, width, BLOCK_K):
        inside = alive[:, None] & (start + depth < width)[None, :]
        x = tl.load(x_rows[:, None] + (start + depth)[None, :], mask=inside, other=0.0)
        centred = tl.where(inside, x.to(tl.float32) - mean[:, None], 0.0)
        total += tl.sum(centred * centred, axis=1)
    return mean, 1.0 / tl.sqrt(total / width + eps)


@triton.jit
def _multiply(a, b, acc, PRECISION: tl.constexpr):
    if UPCAST:
        a, b = a.to(tl.float32), b.to(tl.float32)
    return tl.dot(a, b, acc, input_precision=PRECISION)


@triton.autotune(CONFIGS, key=SHAPE_KEY)
@triton.jit(do_not_specialize=["size_class"])
def _norm_linear_gelu(
    x_ptr,
    hidden_ptr,
    indices_ptr,
    count_ptr,
    ln_weight_ptr,
    ln_bias_ptr,
    w_ptr,
    b_ptr,
    eps,
    width,
    hidden_width,
    size_class,
    PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Gather tokens, normalise them, multiply, GELU: ``(B, N, C)`` to ``(count, H)``."""
    col_tiles = tl.cdiv(hidden_width, BLOCK_N)
    row_start = tl.program_id(0) // col_tiles * BLOCK_M
    count = tl.load(count_ptr)
    if row_start >= count:
        return
    dtype: tl.constexpr = hidden_ptr.dtype.element_ty
    slots = row_start + tl.arange(0, BLOCK_M)
    alive = slots < count
    x_rows = x_ptr + tl.load(indices_ptr + slots, mask=alive, other=0) * width
    cols = tl.program_id(0) % col_tiles * BLOCK_N + tl.arange(0, BLOCK_N)
    mean, scale = _row_statistics(x_rows, alive, width, eps, BLOCK_M, BLOCK_K)

    acc = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for start in range(0, width, BLOCK_K):
        depth = start + tl.arange(0, BLOCK_K)
        deep = depth < width
        x = tl.load(
            x_rows[:, None] + depth[None, :], mask=alive[:, None] & deep[None, :], other=0.0
        )
        gamma = tl.load(ln_weight_ptr + depth, mask=deep, other=0.0).to(tl.float32)
        beta = tl.load(ln_bias_ptr + depth, mask=deep, other=0.0).to(tl.float32)
        normed = (x.to(tl.float32) - mean[:, None]) * scale[:, None] * gamma[None, :] + beta[
            None, :
        ]
        w = tl.load(  # (H, C), read as (BLOCK_K, BLOCK_N)
            w_ptr + cols[None, :] * width + depth[:, None],
            mask=deep[:, None] & (cols < hidden_width)[None, :],
            other=0.0,
        )
        acc = _multiply(normed.to(dtype), w.to(dtype), acc, PRECISION)
    acc += tl.load(b_ptr + cols, mask=cols < hidden_width, other=0.0).to(tl.float32)[None, :]
    acc = 0.5 * acc * (1.0 + tl.erf(acc * 0.7071067811865476))
    tl.store(
        hidden_ptr + slots.to(tl.int64)[:, None] * hidden_width + cols[None, :],
        acc.to(dtype),
        mask=alive[:, None] & (cols < hidden_width)[None, :],
    )


@triton.autotune(CONFIGS, key=SHAPE_KEY, restore_value=["out_ptr"])
@triton.jit(do_not_specialize=["size_class"])
def _linear_scatter_add(
    hidden_ptr,
    out_ptr,
    indices_ptr,
    count_ptr,
    w_ptr,
    b_ptr,
    width,
    hidden_width,
    size_class,
    PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Multiply and add to the tokens' places: ``(count, H)`` to ``(B, N, C)``."""
    col_tiles = tl.cdiv(width, BLOCK_N)
    row_start = tl.program_id(0) // col_tiles * BLOCK_M
    count = tl.load(count_ptr)
    if row_start >= count:
        return
    dtype: tl.constexpr = hidden_ptr.dtype.element_ty
    slots = row_start + tl.arange(0, BLOCK_M)
    alive = slots < count
    hidden_rows = hidden_ptr + slots.to(tl.int64) * hidden_width
    cols = tl.program_id(0) % col_tiles * BLOCK_N + tl.arange(0, BLOCK_N)

    acc = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for start in range(0, hidden_width, BLOCK_K):
        depth = start + tl.arange(0, BLOCK_K)
        deep = depth < hidden_width
        hidden = tl.load(
            hidden_rows[:, None] + depth[None, :], mask=alive[:, None] & deep[None, :], other=0.0
        )
        w = tl.load(  # (C, H), read as (BLOCK_K, BLOCK_N)
            w_ptr + cols[None, :] * hidden_width + depth[:, None],
            mask=deep[:, None] & (cols < width)[None, :],
            other=0.0,
        )
        acc = _multiply(hidden, w.to(dtype), acc, PRECISION)
    acc += tl.load(b_ptr + cols, mask=cols < width, other=0.0).to(tl.float32)[None, :]
    tokens = tl.load(indices_ptr + slots, mask=alive, other=0)
    # A token stands in one slot only: nobody else writes to these places.
    places = out_ptr + tokens[:, None] * width + cols[None, :]
    inside = alive[:, None] & (cols < width)[None, :]
    stream = tl.load(places, mask=inside, other=0.0).to(tl.float32)
    tl.store(places, (stream + acc).to(out_ptr.dtype.element_ty), mask=inside)


def launch_mlp(
    x: Tensor,
    out: Tensor,
    indices: Tensor,
    count: Tensor,
    ln_weight: Tensor,
    ln_bias: Tensor,
    eps: float,
    w1: Tensor,
    b1: Tensor,
    w2: Tensor,
    b2: Tensor,
    dtype: torch.dtype,
) -> None:
    """Run both kernels; arguments as of ``mmdyt.ops.kernels.fused_mlp``."""
    (hidden_width, width), rows = w1.shape, len(indices)
    precision = "tf32" if torch.backends.cuda.matmul.allow_tf32 else "ieee"
    # Tiles are chosen once for every power of two of rows, not anew for each last batch.
    shape = (width, hidden_width, rows.bit_length(), precision)
    hidden = torch.empty(rows, hidden_width, dtype=dtype, device=x.device)

    def programs(columns: int) -> Callable[[dict], tuple[int]]:
        return lambda tile: (
            triton.cdiv(rows, tile["BLOCK_M"]) * triton.cdiv(columns, tile["BLOCK_N"]),
        )

    w1, w2 = w1.contiguous(), w2.contiguous()
    with torch.cuda.device_of(x):  # Triton launches on the current device
        _norm_linear_gelu[programs(hidden_width)](
            x, hidden, indices, count, ln_weight, ln_bias, w1, b1, eps, *shape
        )
        _linear_scatter_add[programs(width)](hidden, out, indices, count, w2, b2, *shape)
