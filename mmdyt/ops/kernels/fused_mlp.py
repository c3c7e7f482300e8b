"""LayerNorm and MLP of the active tokens, added to the stream, with static shapes.

Nothing here depends on the number of active tokens before the device has
counted them: no synchronisation with the host, no shape that changes with the
mask. So it goes into a CUDA graph, and ``torch.compile`` traces it without a
break. Every active token is computed: there is no capacity to run over.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from mmdyt.ops.token_select import gather_tokens, scatter_add_tokens

FUSED_MLP = "MMDYT_FUSED_MLP"
# torch.nonzero_static has run on GPUs since then.
HAS_TRITON = importlib.util.find_spec("triton") is not None and torch.__version__ >= "2.7"
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"  # Triton's own switch: kernels on the CPU


@torch.compiler.assume_constant_result
def has_fused_mlp(device: torch.device) -> bool:
    """Whether the kernels are asked for and run on a device.

    They need Triton, torch 2.7 or newer, and a GPU of Ampere's generation
    (compute capability 8.0) or newer, or Triton's interpreter.
    ``MMDYT_FUSED_MLP=1`` in the environment asks for them: where they win has
    to be measured first.
    """
    if not HAS_TRITON or os.environ.get(FUSED_MLP) != "1":
        return False
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return INTERPRETED


def compact_indices(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Positions of active tokens in the flattened batch, in a shape that is fixed.

    Args:
        mask: Boolean mask, ``(B, N)``.

    Returns:
        ``int64`` positions, ``(B * N,)``, of which the first ``count`` are those
        of :func:`mmdyt.ops.active_indices` and the others 0; and ``count`` on the
        device of the mask, ``int32``, ``()``.
    """
    indices = torch.nonzero_static(mask.flatten(), size=mask.numel(), fill_value=0)  # (B * N, 1)
    return indices.squeeze(-1), mask.sum(dtype=torch.int32)


def _fused_mlp(
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
    """Add ``w2 @ gelu(w1 @ layer_norm(x) + b1) + b2`` of some tokens to a stream.

    A registered operator, ``mmdyt::fused_mlp``: two Triton kernels where
    :func:`has_fused_mlp`, and plain torch, for all rows, anywhere else. Products
    run in ``dtype`` with float32 sums; with float32, TF32 is used as
    ``torch.backends.cuda.matmul.allow_tf32`` says. GELU is the exact one.

    Args:
        x: Contiguous token stream, ``(B, N, C)``.
        out: Contiguous stream to add to, ``(B, N, C)``, apart from ``x``. It is
            modified.
        indices: Positions in ``B * N``, ``(B * N,)``, ``int64``; see
            :func:`compact_indices`.
        count: How many of them count, on the device, ``()``, ``int32``.
        ln_weight: Weight of the LayerNorm, ``(C,)``.
        ln_bias: Bias of the LayerNorm, ``(C,)``.
        eps: Epsilon of the LayerNorm.
        w1: First linear map, ``(H, C)``.
        b1: Its bias, ``(H,)``.
        w2: Second linear map, ``(C, H)``.
        b2: Its bias, ``(C,)``.
        dtype: Of the products: float32, bfloat16 or float16. Weights of another
            dtype are cast tile by tile, as autocast would.
    """
    if has_fused_mlp(x.device):
        from mmdyt.ops.kernels.mlp_kernels import launch_mlp as run
    else:
        run = _reference_mlp
    run(x, out, indices, count, ln_weight, ln_bias, eps, w1, b1, w2, b2, dtype)


def _reference_mlp(
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
    tokens = gather_tokens(x, indices)  # (B * N, C)
    tokens = F.layer_norm(tokens, ln_weight.shape, ln_weight, ln_bias, eps).to(dtype)
    hidden = F.gelu(F.linear(tokens, w1.to(dtype), b1.to(dtype)))  # (B * N, H)
    values = F.linear(hidden, w2.to(dtype), b2.to(dtype))  # (B * N, C)
    beyond = torch.arange(len(indices), device=x.device) >= count
    scatter_add_tokens(out, indices, values.masked_fill(beyond.unsqueeze(-1), 0))


fused_mlp: Callable[..., None] = _fused_mlp
if hasattr(torch.library, "custom_op"):  # torch 2.4 and newer
    fused_mlp = torch.library.custom_op("mmdyt::fused_mlp", _fused_mlp, mutates_args=("out",))
