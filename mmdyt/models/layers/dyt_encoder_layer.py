"""The transformer layer of Dynamic Tuning."""

from __future__ import annotations

from mmcv.cnn.bricks.transformer import FFN
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from mmpretrain.models.utils import MultiheadAttention
from torch import Tensor, nn

from mmdyt.models.layers.dispatched_layer import DispatchedLayer
from mmdyt.ops import attention, is_padded, masked_attention, padded_attention, varlen_attention
from mmdyt.structures import TokenSelection


class DyTEncoderLayer(DispatchedLayer, TransformerEncoderLayer):
    """mmpretrain's ``TransformerEncoderLayer`` with adapters and dispatch.

    Paper section 3, figure 2. The weights of the plain layer keep their names,
    so that a plain checkpoint loads with only ``adapter.*`` and
    ``dispatcher.*`` missing. With every token active and freshly initialised
    adapters the layer equals the plain one.

    Args:
        *args: As ``TransformerEncoderLayer``.
        **kwargs: As ``TransformerEncoderLayer`` and :class:`DispatchedLayer`.
    """

    token_wise = {"mlp": "ffn"}

    ln1: nn.Module
    attn: MultiheadAttention
    ln2: nn.Module
    ffn: FFN

    def _add_dispatch(self, *args, **kwargs) -> None:
        super()._add_dispatch(*args, **kwargs)
        self.attn.scaled_dot_product_attention = attention

    def forward(self, x: Tensor) -> Tensor:
        """Run the layer on tokens of shape ``(B, N, C)``."""
        return self.run_branches(x)

    def _attn_branch(self, x: Tensor, selection: TokenSelection | None) -> Tensor:
        x = self.ln1(x)
        return self.attn(x) if selection is None else _attend(self.attn, x, selection)

    def _mlp_branch(self, x: Tensor, selection: TokenSelection | None) -> Tensor:
        return self.ffn(self.ln2(x))

    def _layer_branch(self, x: Tensor, selection: TokenSelection | None) -> Tensor:
        attended = self._attn_branch(x, selection)
        return attended + self._mlp_branch(x + attended, selection)


def _attend(attn: MultiheadAttention, x: Tensor, selection: TokenSelection) -> Tensor:
    """Run mmpretrain's ``MultiheadAttention`` among active tokens only.

    Args:
        attn: The attention module, whose weights and dropouts are used.
        x: ``(B, N, C)``, or ``(K, C)`` where the selection has indices.
        selection: The active tokens.

    Returns:
        A tensor shaped as ``x``.
    """
    qkv = attn.qkv(x)
    # (..., 3 * C) -> three of (..., H, D)
    q, k, v = qkv.reshape(*x.shape[:-1], 3, attn.num_heads, attn.head_dims).unbind(-3)
    if selection.indices is None:
        dropout = attn.attn_drop if attn.training else 0.0
        out = masked_attention(q, k, v, selection.mask, dropout)
    elif is_padded(x):
        out = padded_attention(q, k, v, selection.mask, selection.indices)
    else:
        out = varlen_attention(q, k, v, selection.mask.sum(dim=1))
    out = attn.proj(out.flatten(-2))  # (..., H, D) -> (..., C)
    return attn.out_drop(attn.gamma1(attn.proj_drop(out)))
