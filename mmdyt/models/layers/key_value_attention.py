"""Attention with trained keys and values beside those of the tokens."""

from __future__ import annotations

import torch
from mmpretrain.models.utils import MultiheadAttention
from torch import Tensor, nn

from mmdyt.checks import check_choice, check_integer
from mmdyt.models.layers.tuned_module import TunedModule

GATES = ("none", "token", "mean")


class InputGate(nn.Module):
    """One sigmoid gate an image for each output, from the tokens.

    Args:
        embed_dims: Width ``C`` of the tokens.
        num_gates: How many gates ``G``.
        read: ``'token'``: from the first token; ``'mean'``: from their mean;
            ``'average'``: the mean of every token's own gate, as in UniPELT.
        bias: Whether the linear map has a bias. Defaults to ``False``.
    """

    def __init__(self, embed_dims: int, num_gates: int, read: str, bias: bool = False) -> None:
        super().__init__()
        self.read = read
        self.proj = nn.Linear(embed_dims, num_gates, bias=bias)
        nn.init.normal_(self.proj.weight, std=0.02)
        if bias:
            nn.init.zeros_(self.proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Gates in (0, 1), ``(B, G)``, of tokens ``(B, N, C)``."""
        if self.read == "average":
            return self.proj(x).sigmoid().mean(dim=1)
        return self.proj(x[:, 0] if self.read == "token" else x.mean(dim=1)).sigmoid()


class KeyValuePrefix(TunedModule):
    """Trained keys and values of ``M`` tokens that no input has.

    Args:
        num_tokens: ``M``.
        num_heads: Attention heads ``H``.
        head_dims: Width ``D`` of a head.
        shared: Whether one tensor serves as keys and values. Defaults to ``False``.
        gate: Gates ``(B, M)`` or ``(B, 1)`` of tokens ``(B, N, C)`` on keys and
            values. Defaults to ``None``.
        layer_scale: Whether a trained number, 1 at first, multiplies both.
            Defaults to ``False``.
    """

    def __init__(
        self,
        num_tokens: int,
        num_heads: int,
        head_dims: int,
        shared: bool = False,
        gate: nn.Module | None = None,
        layer_scale: bool = False,
    ) -> None:
        super().__init__()
        kinds = 1 if shared else 2
        self.tokens = nn.Parameter(torch.empty(kinds, num_heads, num_tokens, head_dims))
        nn.init.normal_(self.tokens, std=0.02)
        self.gate = gate
        self.scale = nn.Parameter(torch.ones(())) if layer_scale else None

    def both(self) -> Tensor:
        """Keys and values before gate and scale, ``(1 or 2, H, M, D)``."""
        return self.tokens

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values, ``(B, H, M, D)`` each, for tokens ``(B, N, C)``."""
        prefix = self.both()
        if self.scale is not None:
            prefix = self.scale * prefix
        prefix = prefix.unsqueeze(0)  # (1, 1 or 2, H, M, D)
        if self.gate is not None:
            prefix = self.gate(x)[:, None, None, :, None] * prefix
        prefix = prefix.expand(x.shape[0], -1, -1, -1, -1)
        return prefix[:, 0], prefix[:, -1]


class KeyValueAttention(MultiheadAttention):
    """mmpretrain's ``MultiheadAttention`` with a prefix of keys and values.

    ``K' = [P_K; K]`` and ``V' = [P_V; V]`` behind the projections, without
    position or norm; queries and the number of tokens stay. A gate of 0 does not
    remove a prefix: keys of zero still take their share of every query. It is
    made of a built attention, in place, keeps its weights' names, and keeps the
    fused attention.
    """

    prefix: KeyValuePrefix

    @classmethod
    def from_attention(
        cls,
        attn: MultiheadAttention,
        num_tokens: int,
        shared: bool = False,
        gate: str = "none",
        layer_scale: bool = False,
    ) -> KeyValueAttention:
        """Give an attention a prefix.

        Args:
            attn: The attention of a layer.
            num_tokens: Keys and values ``M``.
            shared: Whether one tensor serves as both. Defaults to ``False``.
            gate: ``'none'``; ``'token'`` or ``'mean'``: ``sigmoid(h W)`` of each
                image and prefix token, from the first token or the mean of the
                attention's (normalised) input. Defaults to ``'none'``.
            layer_scale: Whether a trained number multiplies the prefix. Defaults
                to ``False``.

        Returns:
            The same object, now of this class.

        Raises:
            ValueError: If a value is outside its range or unknown.
            TypeError: If the attention is of another class, as in windows.
        """
        check_integer("backbone: prefix length", num_tokens, "[1, inf)")
        check_choice("backbone.gate", gate, GATES)
        if type(attn) is not MultiheadAttention:
            raise TypeError(
                f"key-value prefixes take mmpretrain's MultiheadAttention, not "
                f"{type(attn).__name__}: leave backbone.rel_pos_bias and window_size out"
            )
        gates = None if gate == "none" else InputGate(attn.embed_dims, num_tokens, gate)
        attn.__class__ = cls
        assert isinstance(attn, cls)
        shape = num_tokens, attn.num_heads, attn.head_dims
        attn.prefix = KeyValuePrefix(*shape, shared, gates, layer_scale)
        return attn

    def forward(self, x: Tensor) -> Tensor:
        """Attend among all tokens and the prefix, ``(B, N, C)`` to the same."""
        # (B, N, 3 * C) -> three of (B, H, N, D)
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, self.head_dims))
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        keys, values = (prefix.to(q.dtype) for prefix in self.prefix(x))
        dropout = self.attn_drop if self.training else 0.0
        out = self.scaled_dot_product_attention(
            q, torch.cat([keys, k], dim=2), torch.cat([values, v], dim=2), dropout_p=dropout
        )
        out = self.proj(out.transpose(1, 2).flatten(2))  # (B, H, N, D) -> (B, N, C)
        return self.out_drop(self.gamma1(self.proj_drop(out)))
