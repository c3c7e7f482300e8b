"""Other decisions than the one that was trained, from the same logits.

Each takes the logits of a dispatcher, ``(B, N)``, its threshold and the number of
prefix tokens, and returns the mask, ``(B, N)``, bool. They stand in
``DispatchedLayer.fixed_decisions``, set from outside, and count in evaluation only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mmdyt.ops import hard_sigmoid, logit

Decision = Callable[[Tensor, float, int], Tensor]


@dataclass(frozen=True)
class ShiftedThreshold:
    """Activate the tokens whose logit and a shift together reach the threshold.

    Args:
        shift: What is added to every logit: more tokens the larger it is.
    """

    shift: float

    def __call__(self, logits: Tensor, threshold: float, num_prefix: int) -> Tensor:
        """Decide, see the module."""
        return hard_sigmoid(logits + self.shift, threshold)

    def margin(self, logits: Tensor, threshold: float, num_prefix: int) -> Tensor:
        """How far each image's decision is from another one, in logits, ``(B,)``."""
        distance = (logits + self.shift - logit(threshold)).abs()
        return distance[:, num_prefix:].amin(dim=1)


@dataclass(frozen=True)
class TopTokens:
    """Activate exactly the same number of tokens in every image: its largest logits.

    Args:
        rate: Their share in [0, 1], prefix tokens not counted.
    """

    rate: float

    def num_active(self, num_tokens: int, num_prefix: int) -> int:
        """How many of ``N`` tokens are active, prefix tokens included: ``k``.

        At least 1, and at least one patch where the rate is above 0.
        """
        # torch.jit.trace, which counts FLOPs, has tensors for sizes.
        patches = round(self.rate * (int(num_tokens) - num_prefix))
        return max(1, num_prefix + max(patches, int(self.rate > 0)))

    def __call__(self, logits: Tensor, threshold: float, num_prefix: int) -> Tensor:
        """Decide, see the module; prefix tokens are among the ``k``."""
        k = self.num_active(logits.shape[1], num_prefix)
        patches = logits[:, num_prefix:].topk(k - num_prefix, dim=1).indices + num_prefix
        prefix = torch.arange(num_prefix, device=logits.device).expand(logits.shape[0], -1)
        active = torch.cat([prefix, patches], dim=1)  # (B, k)
        return torch.zeros_like(logits, dtype=torch.bool).scatter(1, active, 1)

    def margin(self, logits: Tensor, threshold: float, num_prefix: int) -> Tensor:
        """How far each image's decision is from another one, in logits, ``(B,)``."""
        ordered = logits[:, num_prefix:].sort(dim=1, descending=True).values
        k = self.num_active(logits.shape[1], num_prefix) - num_prefix
        if k in (0, ordered.shape[1]):
            return torch.full_like(ordered[:, 0], torch.inf)
        return ordered[:, k - 1] - ordered[:, k]
