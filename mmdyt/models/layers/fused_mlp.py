"""A layer's LayerNorm and FFN through the fused kernels, where these compute the same."""

from __future__ import annotations

import torch
from mmcv.cnn.bricks.transformer import FFN
from mmcv.cnn.bricks.wrappers import Linear
from torch import Tensor, nn

from mmdyt.ops.kernels import compact_indices, fused_mlp, has_fused_mlp

LINEARS = (nn.Linear, Linear)  # mmcv's differs for empty inputs in old torch only
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def can_fuse(norm: nn.Module, ffn: nn.Module, x: Tensor) -> bool:
    """Whether :func:`add_active_mlp` gives what ``ffn(norm(x))`` would.

    It does for a plain LayerNorm and mmcv's FFN of two linear layers with the
    exact GELU, without layer scale, in inference, where the kernels run.

    Args:
        norm: The norm before the MLP.
        ffn: The MLP.
        x: Token stream, ``(B, N, C)``.
    """
    return (
        has_fused_mlp(x.device)
        and not torch.is_grad_enabled()
        and not torch.compiler.is_exporting()
        and not torch.jit.is_tracing()
        and _is_plain_norm(norm)
        and _is_plain_ffn(ffn)
        and _product_dtype(ffn, x) in DTYPES
        and not any(part._forward_hooks or part._forward_pre_hooks for part in _parts(norm, ffn))
    )


def add_active_mlp(out: Tensor, x: Tensor, mask: Tensor, norm: nn.Module, ffn: nn.Module) -> Tensor:
    """Add ``ffn(norm(x))`` of the active tokens to a stream.

    Args:
        out: Contiguous stream to add to, ``(B, N, C)``. It is modified.
        x: Contiguous token stream, ``(B, N, C)``.
        mask: Boolean mask, ``(B, N)``.
        norm: As :func:`can_fuse` accepts it.
        ffn: As :func:`can_fuse` accepts it.

    Returns:
        ``out``.
    """
    first, second = _linears(ffn)
    scale = norm.weight, norm.bias, norm.eps
    linears = first.weight, first.bias, second.weight, second.bias
    fused_mlp(x, out, *compact_indices(mask), *scale, *linears, _product_dtype(ffn, x))
    return out


def _is_plain_norm(norm: nn.Module) -> bool:
    return type(norm) is nn.LayerNorm and norm.weight is not None and norm.bias is not None


def _is_plain_ffn(ffn: nn.Module) -> bool:
    if type(ffn) is not FFN or ffn.num_fcs != 2 or ffn.training:
        return False
    act, linears = ffn.get_submodule("layers.0.1"), _linears(ffn)
    return (
        type(act) is nn.GELU
        and act.approximate == "none"
        and type(ffn.gamma2) is nn.Identity
        and all(type(linear) in LINEARS and linear.bias is not None for linear in linears)
    )


def _linears(ffn: nn.Module) -> tuple[nn.Module, nn.Module]:
    return ffn.get_submodule("layers.0.0"), ffn.get_submodule("layers.1")


def _product_dtype(ffn: nn.Module, x: Tensor) -> torch.dtype:
    device = x.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return next(ffn.parameters()).dtype


def _parts(*modules: nn.Module):
    return (part for module in modules for part in module.modules())
