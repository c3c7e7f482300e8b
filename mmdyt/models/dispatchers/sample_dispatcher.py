"""Dispatch of whole images."""

from __future__ import annotations

from torch import Tensor

from mmdyt.models.dispatchers.token_dispatcher import TokenDispatcher
from mmdyt.registry import MODELS


@MODELS.register_module()
class SampleDispatcher(TokenDispatcher):
    """Decide once an image, from its mean token, for all its tokens.

    Ablation of the paper: a branch computes the whole image or none of it.
    Prefix tokens stay active as ever. Arguments, noise and threshold are those
    of :class:`TokenDispatcher`.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Decide on every image.

        Args:
            x: Token stream, ``(B, N, C)``.

        Returns:
            The mask and the logits, both ``(B, N)``, equal along ``N``.
        """
        mask, logits = super().forward(x.mean(dim=1, keepdim=True))  # both (B, 1)
        return mask.expand(x.shape[:2]), logits.expand(x.shape[:2])
