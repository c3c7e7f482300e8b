"""Dynamic Tuning with token merging."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mmdyt.checks import check_integer
from mmdyt.models.backbones.dispatched_backbone import DispatchedBackbone
from mmdyt.models.backbones.dyt_vit import DyTViT
from mmdyt.models.layers import DyTEncoderLayer
from mmdyt.ops.tome import bipartite_soft_matching, merge_tokens, proportional_attention
from mmdyt.registry import MODELS


@dataclass
class TokenSizes:
    """Sizes of the tokens in the stream, handed from layer to layer.

    Args:
        now: ``(B, N)``. Defaults to ``None``, as between passes: a model can then be
            copied whatever a pass, or the tracing of one, computed.
    """

    now: Tensor | None = None


class ToMeEncoderLayer(DyTEncoderLayer):
    """A layer that merges ``r`` tokens between attention and MLP.

    The MLP may be dispatched: its dispatcher sees, and its record covers,
    the tokens that are left.
    """

    supported_variants = (None, "mlp")
    r: int
    sizes: TokenSizes

    def run_branches(self, x: Tensor) -> Tensor:
        """Run attention, merging and MLP, ``(B, N, C)`` to ``(B, N - r, C)``."""
        first = self.layer_index == 0
        size = torch.ones(x.shape[:2], device=x.device) if first else self.sizes.now
        assert size is not None
        attended, keys = self.recomputed(self._attend)(x, size)
        matching = bipartite_soft_matching(keys, self.r, self.num_prefix)
        x, self.sizes.now = merge_tokens(x + attended, size, matching)
        return self.run_branch("mlp", x)

    def _attend(self, x: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
        attn = self.attn
        x = self.ln1(x)
        # (B, N, 3 * C) -> three of (B, N, H, D)
        q, k, v = attn.qkv(x).unflatten(-1, (3, attn.num_heads, attn.head_dims)).unbind(2)
        dropout = attn.attn_drop if attn.training else 0.0
        out = proportional_attention(q, k, v, size, dropout)
        out = attn.proj(out.flatten(-2))  # (B, N, H, D) -> (B, N, C)
        return attn.out_drop(attn.gamma1(attn.proj_drop(out))), k.mean(dim=2)


@MODELS.register_module()
class ToMeViT(DyTViT):
    """``DyTViT`` that merges similar tokens in every layer.

    ToMe (Bolya et al., ICLR 2023) beside Dynamic Tuning, paper section 4: both
    save, one tokens, the other MLPs of tokens. The class token never merges.
    Merging adds no weights, works in training too, and ``r=0`` is ``DyTViT``.

    Args:
        *args: As ``DyTViT``.
        r (int): Tokens to merge in each layer. A layer in which fewer than
            ``2 * r`` patch tokens are left merges half of them. Defaults to 8.
        **kwargs: As ``DyTViT``; ``dispatch`` is ``'mlp'`` or ``None``,
            ``out_type`` ``'cls_token'`` or ``'raw'``.

    Raises:
        ValueError: If ``r`` is negative or leaves no patch token, or if
            ``dispatch`` or ``out_type`` needs every token at its place.
    """

    layer_class = ToMeEncoderLayer
    patch_grid = DispatchedBackbone.patch_grid  # merged tokens have no place in one

    def __init__(self, *args, r: int = 8, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        num_patches = self.patch_resolution[0] * self.patch_resolution[1]
        # All layers together have to leave a patch token.
        check_integer("backbone.r", r, f"[0, {(num_patches - 1) // self.num_layers}]")
        if self.out_type not in ("cls_token", "raw"):
            raise ValueError(
                f"backbone.out_type={self.out_type!r} is not supported by {type(self).__name__}, "
                "as merged tokens have no place in the image; choose one of ['cls_token', 'raw']"
            )
        self.sizes = TokenSizes()
        for layer in self.layers:
            layer.r, layer.sizes = r, self.sizes

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Run the backbone, see ``DyTViT``."""
        out = super().forward(x)
        self.sizes.now = None
        return out
