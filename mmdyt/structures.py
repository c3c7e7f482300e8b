"""What a token dispatcher decided, as data."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class DispatchRecord:
    """One decision of one dispatcher on one batch.

    Args:
        layer: Position of the layer in its backbone, counted from 0.
        branch: The dispatched branch: ``'attn'``, ``'mlp'`` or ``'layer'``.
        mask: Which of the ``N`` tokens of ``B`` images are active,
            ``(B, N)``, prefix tokens included. In training a float mask of
            zeros and ones with the straight-through gradient, otherwise bool.
        logits: What the dispatcher computed, ``(B, N)``, or ``None`` where it
            was not asked (complete mode).
        num_prefix: Leading tokens that are always active and not counted in
            the rate. Defaults to 0.
        extra: Further statistics of the adapter, such as router weights of a
            MoE-adapter. Defaults to an empty dict.
    """

    layer: int
    branch: str
    mask: Tensor
    logits: Tensor | None
    num_prefix: int = 0
    extra: dict[str, Tensor] = field(default_factory=dict)

    def rate(self) -> Tensor:
        """Share of active tokens per image, prefix tokens not counted.

        Returns:
            ``(B,)``, float, with the gradient of the mask.
        """
        return self.mask[:, self.num_prefix :].float().mean(dim=1)

    def num_active(self) -> Tensor:
        """Active tokens per image, prefix tokens included.

        Returns:
            ``(B,)``, int64.
        """
        return self.mask.detach().bool().sum(dim=1)
