"""The token decision: Gumbel-sigmoid in training, a threshold in inference.

Paper section 3.2, equations 3-5.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmdyt.ops.rank_rand import rank_rand


def gumbel_sigmoid(logits: Tensor, tau: float = 5.0, threshold: float = 0.5) -> Tensor:
    """Sample a hard mask that has the gradient of the soft one.

    ``S = sigmoid((logits + G1 - G2) / tau)`` with independent
    ``G ~ Gumbel(0, 1)``; the forward value is ``M = [S >= threshold]``, the
    gradient is that of ``S`` (straight-through). The difference of two Gumbel
    variables follows the logistic distribution, which is sampled here with one
    uniform draw.

    The noise and the sigmoid are computed in float32 whatever the dtype of
    ``logits``: in bfloat16 the tail of the noise collapses. Data-parallel
    processes draw different noise.

    Args:
        logits: Dispatcher logits of any shape, usually ``(B, N)``.
        tau: Temperature, > 0. Defaults to 5.0, the paper's.
        threshold: Smallest ``S`` that counts as active. Defaults to 0.5.

    Returns:
        A float32 tensor of zeros and ones, shaped as ``logits``, that carries
        the gradient of ``S``.
    """
    logits = logits.float()
    # The clamp keeps both logarithms finite at the ends of [0, 1).
    uniform = rank_rand(logits.shape, logits.device).clamp_(1e-7, 1 - 1e-7)
    soft = torch.sigmoid((logits + uniform.log() - torch.log1p(-uniform)) / tau)
    hard = (soft >= threshold).to(soft.dtype)
    # In this order the value is exactly 0 or 1: `hard - soft + soft` may round.
    return hard + (soft - soft.detach())


def hard_sigmoid(logits: Tensor, threshold: float = 0.5) -> Tensor:
    """Decide without noise, as inference does: ``sigmoid(logits) >= threshold``.

    Args:
        logits: Dispatcher logits of any shape, usually ``(B, N)``.
        threshold: Smallest probability that counts as active. Defaults to 0.5.

    Returns:
        A boolean tensor shaped as ``logits``.
    """
    return torch.sigmoid(logits.float()) >= threshold
