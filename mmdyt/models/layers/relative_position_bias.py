"""A relative position bias for attention that was trained without one.

The released segmentation model adds one to every layer of its frozen ViT,
starting at zero, in the parametrisation of BEiT (Bao et al., 2022): one value a
head for every pair of row and column distances, and three more for the pairs
that have the class token in them.
"""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from mmpretrain.models.utils import MultiheadAttention
from torch import Tensor, nn

from mmdyt.models.layers.tuned_module import TunedModule


class RelativePositionBias(TunedModule, BaseModule):
    """A learnt bias on attention scores for every distance on the patch grid.

    Args:
        grid (tuple[int, int]): Rows and columns of patches, ``(h, w)``.
        num_heads (int): Attention heads ``H``.
        num_prefix (int): Tokens before the patches, 0 or 1.
        init_cfg (dict | None): Defaults to ``None``.

    Raises:
        ValueError: If ``num_prefix`` is above 1.
    """

    index: Tensor

    def __init__(
        self, grid: tuple[int, int], num_heads: int, num_prefix: int, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        if num_prefix not in (0, 1):
            raise ValueError(
                f"backbone.rel_pos_bias takes one class token or none, not {num_prefix}"
            )
        index = distance_index(*grid, num_prefix)
        self.table = nn.Parameter(torch.zeros(int(index.max()) + 1, num_heads))
        self.register_buffer("index", index, persistent=False)

    def forward(self) -> Tensor:
        """Look the bias up for all pairs of tokens.

        Returns:
            ``(1, H, N, N)``: query by key.
        """
        return self.table[self.index].permute(2, 0, 1).unsqueeze(0)  # (N, N, H) -> (1, H, N, N)


def distance_index(rows: int, columns: int, num_prefix: int) -> Tensor:
    """Number the distances between tokens of a grid.

    Args:
        rows: Rows of patches ``h``.
        columns: Columns of patches ``w``.
        num_prefix: 1 with a class token before the patches, otherwise 0.

    Returns:
        ``(N, N)``, int64, ``N = h * w + num_prefix``. Patch pairs of equal
        distance share a number below ``(2h - 1)(2w - 1)``; the three numbers
        after that are from the class token, to it, and of it to itself.
    """
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    y, x = y.flatten(), x.flatten()  # (h * w,)
    down = y[:, None] - y[None, :] + rows - 1
    right = x[:, None] - x[None, :] + columns - 1
    patches = down * (2 * columns - 1) + right  # (h * w, h * w)
    if num_prefix == 0:
        return patches
    num_distances = (2 * rows - 1) * (2 * columns - 1)
    index = patches.new_empty(len(y) + 1, len(y) + 1)
    index[1:, 1:] = patches
    index[0, :] = num_distances
    index[:, 0] = num_distances + 1
    index[0, 0] = num_distances + 2
    return index


class BiasedAttention(MultiheadAttention):
    """mmpretrain's ``MultiheadAttention`` with a relative position bias.

    It is made of a built attention, in place, and keeps its weights' names.
    """

    rel_pos_bias: RelativePositionBias

    @classmethod
    def from_attention(
        cls, attn: MultiheadAttention, grid: tuple[int, int], num_prefix: int
    ) -> BiasedAttention:
        """Give an attention a bias of zero.

        Args:
            attn: The attention of a layer.
            grid: Rows and columns of patches.
            num_prefix: Tokens before the patches, 0 or 1.

        Returns:
            The same object, now of this class.
        """
        attn.__class__ = cls
        assert isinstance(attn, cls)
        attn.rel_pos_bias = RelativePositionBias(grid, attn.num_heads, num_prefix)
        return attn

    def forward(self, x: Tensor) -> Tensor:
        """Attend among all tokens.

        Args:
            x: ``(B, N, C)``.

        Returns:
            ``(B, N, C)``.

        Raises:
            ValueError: If the image has another number of patches than the
                grid that the bias was built for.
        """
        bias = self.rel_pos_bias()
        if x.shape[1] != bias.shape[-1]:
            raise ValueError(
                f"backbone.rel_pos_bias was built for {bias.shape[-1]} tokens, got {x.shape[1]}: "
                "test with test_cfg.mode='slide' and crops of backbone.img_size, and pad smaller "
                "images with data_preprocessor.test_cfg.size"
            )
        # (B, N, 3 * C) -> three of (B, H, N, D)
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, self.head_dims))
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        dropout = self.attn_drop if self.training else 0.0
        bias = bias.to(q.dtype)
        out = self.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)
        out = self.proj(out.transpose(1, 2).flatten(2))  # (B, H, N, D) -> (B, N, C)
        return self.out_drop(self.gamma1(self.proj_drop(out)))
