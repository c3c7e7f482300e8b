"""Attention inside windows of the patch grid, for images of thousands of tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from mmpretrain.models.utils import MultiheadAttention
from torch import Tensor, nn


@dataclass
class PatchGrid:
    """Rows and columns of patches of the image in the stream.

    Args:
        rows: ``h``, set anew by every pass of the backbone. Defaults to 0.
        columns: ``w``, likewise. Defaults to 0.
    """

    rows: int = 0
    columns: int = 0

    def read(self, patch_embed: nn.Module, inputs: tuple, out: tuple) -> None:
        """Take the size from a patch embedding, as its forward hook."""
        self.rows, self.columns = out[1]


class WindowAttention(MultiheadAttention):
    """mmpretrain's ``MultiheadAttention`` among the patches of a window.

    Windows of ViTDet do not overlap; those at the border may be cut. Prefix
    tokens belong to every window: all patches attend to them, and they attend to
    all tokens. It is made of a built attention, in place, and keeps its weights.
    A window as large as the grid gives what the plain attention does.
    """

    window_size: int
    grid: PatchGrid

    @classmethod
    def from_attention(
        cls, attn: MultiheadAttention, window_size: int, grid: PatchGrid
    ) -> WindowAttention:
        """Limit an attention to windows.

        Args:
            attn: The attention of a layer.
            window_size: Side of a window ``S`` in patches.
            grid: Where the backbone tells the size of the patch grid.

        Returns:
            The same object, now of this class.
        """
        attn.__class__ = cls
        assert isinstance(attn, cls)
        attn.window_size, attn.grid = window_size, grid
        return attn

    def forward(self, x: Tensor) -> Tensor:
        """Attend inside windows.

        Args:
            x: ``(B, N, C)``, ``N = P + h * w``: prefix tokens, then the patches.

        Returns:
            ``(B, N, C)``.
        """
        prefix = x.shape[1] - self.grid.rows * self.grid.columns
        # (B, N, 3 * C) -> three of (B, H, N, D)
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, self.head_dims)).permute(2, 0, 3, 1, 4)
        own, mask = self._windows(qkv[..., prefix:, :])  # (3, B, W, H, S * S, D)
        shared = qkv[..., :prefix, :].unsqueeze(2)  # (3, B, 1, H, P, D)
        shared = shared.expand(-1, -1, own.shape[2], -1, -1, -1)
        keys, values = torch.cat([shared, own], dim=-2)[1:]  # (B, W, H, P + S * S, D)
        if mask is not None:
            mask = F.pad(mask, (prefix, 0), value=True)[:, None, None]  # (W, 1, 1, P + S * S)
        out = self._grid(self._attend(own[0], keys, values, mask))  # (B, H, h * w, D)
        if prefix:
            first = self._attend(qkv[0, :, :, :prefix], qkv[1], qkv[2], None)  # (B, H, P, D)
            out = torch.cat([first, out], dim=-2)
        out = self.proj(out.transpose(1, 2).flatten(2))  # (B, H, N, D) -> (B, N, C)
        return self.out_drop(self.gamma1(self.proj_drop(out)))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        dropout = self.attn_drop if self.training else 0.0
        return self.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)

    def _windows(self, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
        """Cut ``(..., H, h * w, D)`` to ``(..., W, H, S * S, D)``; say what is no padding."""
        size, (rows, columns) = self.window_size, (self.grid.rows, self.grid.columns)
        down, right = -rows % size, -columns % size
        mask = None
        if down or right:
            mask = tokens.new_ones(rows, columns, dtype=torch.bool)
            mask = _cut(F.pad(mask, (0, right, 0, down)).unsqueeze(-1), size).flatten(-3)
            # (h', w', 1) -> (W, S * S)
        grid = tokens.unflatten(-2, (rows, columns))
        cut = _cut(F.pad(grid, (0, 0, 0, right, 0, down)), size)  # (..., H, W, S, S, D)
        return cut.flatten(-3, -2).transpose(-4, -3), mask

    def _grid(self, windows: Tensor) -> Tensor:
        """Put ``(B, W, H, S * S, D)`` together to ``(B, H, h * w, D)``, without padding."""
        size, (rows, columns) = self.window_size, (self.grid.rows, self.grid.columns)
        across = -(-columns // size)
        # (B, W, H, S * S, D) -> (B, H, h / S, S, w / S, S, D)
        tiles = windows.transpose(1, 2).unflatten(-2, (size, size)).unflatten(2, (-1, across))
        grid = tiles.transpose(3, 4).flatten(4, 5).flatten(2, 3)  # (B, H, h', w', D)
        return grid[:, :, :rows, :columns].flatten(2, 3)


def _cut(grid: Tensor, size: int) -> Tensor:
    """``(..., h, w, D)`` to windows ``(..., W, S, S, D)``, row by row."""
    tiles = grid.unflatten(-2, (-1, size)).unflatten(-4, (-1, size))  # (..., h/S, S, w/S, S, D)
    return tiles.transpose(-4, -3).flatten(-5, -4)
