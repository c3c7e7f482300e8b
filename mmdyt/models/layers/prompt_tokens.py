"""Learned prefix tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmdyt.models.layers.tuned_module import TunedModule


class PromptTokens(TunedModule):
    """Learned tokens that stand behind the class token.

    Args:
        num_prompts: How many.
        embed_dims: Width ``C`` of the stream.
        bound: Initial values are uniform in ``[-bound, bound]``.
        position: Tokens before them, the class token.
        replace: Whether the stream has prompts there already, which then give
            way to these.
        mask: What multiplies the prompts, ``(P, C)``. Defaults to ``None``.
    """

    mask: Tensor | None

    def __init__(
        self,
        num_prompts: int,
        embed_dims: int,
        bound: float,
        position: int,
        replace: bool,
        mask: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.empty(1, num_prompts, embed_dims).uniform_(-bound, bound))
        # A copy: files hold no tensor of several layers twice.
        self.register_buffer("mask", None if mask is None else mask.clone())
        self.position = position
        self.behind = position + (num_prompts if replace else 0)

    def forward(self, x: Tensor) -> Tensor:
        """Put the prompts into the stream, ``(B, N, C)`` to ``(B, N + P, C)``."""
        tokens = self.tokens if self.mask is None else self.tokens * self.mask
        prompts = tokens.to(x.dtype).expand(x.shape[0], -1, -1)
        return torch.cat([x[:, : self.position], prompts, x[:, self.behind :]], dim=1)
