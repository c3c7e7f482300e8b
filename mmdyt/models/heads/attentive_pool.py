"""One learnable query reads the tokens of all frames."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.init import trunc_normal_


class AttentivePool(BaseModule):
    """Pool the tokens of a clip with one query and one cross-attention block.

    Pre-norm on query, keys and values, as in the paper's video runs; frames were
    encoded independently. With one query the scores are ``(B, heads, 1, T * N)``:
    no attention between tokens is ever computed. Every frame has a learnable
    temporal embedding, since attention pooling alone cannot tell a clip from
    the same clip played backwards.

    Args:
        embed_dims (int): Channels ``C`` of the tokens.
        num_frames (int): Frames ``T`` of a clip.
        num_heads (int): Attention heads; they divide ``embed_dims``. Defaults
            to 12.

    Raises:
        ValueError: If ``num_heads`` does not divide ``embed_dims``.
    """

    def __init__(self, embed_dims: int, num_frames: int, num_heads: int = 12) -> None:
        super().__init__()
        if embed_dims % num_heads:
            raise ValueError(
                f"cls_head.num_heads={num_heads} does not divide cls_head.in_channels={embed_dims}"
            )
        self.num_frames = num_frames
        self.query = nn.Parameter(torch.zeros(1, 1, embed_dims))
        self.temporal_embed = nn.Parameter(torch.zeros(1, num_frames, 1, embed_dims))
        self.norm_q = nn.LayerNorm(embed_dims, eps=1e-6)
        self.norm_k = nn.LayerNorm(embed_dims, eps=1e-6)
        self.norm_v = nn.LayerNorm(embed_dims, eps=1e-6)
        self.attn = nn.MultiheadAttention(embed_dims, num_heads, batch_first=True)
        trunc_normal_(self.query, std=0.02)
        trunc_normal_(self.temporal_embed, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Pool.

        Args:
            tokens: Tokens of all frames, prefix tokens included, ``(B, T, N, C)``.

        Returns:
            One vector a clip, ``(B, C)``.
        """
        tokens = (tokens + self.temporal_embed).flatten(1, 2)  # (B, T, N, C) -> (B, T * N, C)
        query = self.norm_q(self.query).expand(tokens.shape[0], -1, -1)  # (1, 1, C) -> (B, 1, C)
        keys, values = self.norm_k(tokens), self.norm_v(tokens)
        pooled, _ = self.attn(query, keys, values, need_weights=False)
        return pooled.squeeze(1)  # (B, 1, C) -> (B, C)
