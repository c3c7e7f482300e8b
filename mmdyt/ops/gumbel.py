"""The token decision: Gumbel-sigmoid in training, a threshold in inference.

Paper section 3.2, equations 3-5.
"""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

from mmdyt.ops.rank_rand import rank_rand


def gumbel_sigmoid(logits: Tensor, tau: float = 5.0, threshold: float = 0.5) -> Tensor:
    """Sample a hard mask that has the gradient of the soft one.

    ``S = sigmoid((logits + G1 - G2) / tau)`` with independent
    ``G ~ Gumbel(0, 1)``; the forward value is
    ``M = [sigmoid(logits + G1 - G2) >= threshold]``, the gradient is that of
    ``S`` (straight-through). At the paper's threshold of 0.5 this is
    ``[S >= 0.5]``; any other one is that of :func:`hard_sigmoid` whatever
    ``tau`` is, so that training meets the rate that inference runs. The
    difference of two Gumbel variables follows the logistic distribution, which
    is sampled here with one uniform draw.

    The noise and the sigmoid are computed in float32 whatever the dtype of
    ``logits``: in bfloat16 the tail of the noise collapses. Data-parallel
    processes draw different noise.

    Args:
        logits: Dispatcher logits of any shape, usually ``(B, N)``.
        tau: Temperature, > 0. Defaults to 5.0, the paper's.
        threshold: Smallest probability that counts as active. Defaults to 0.5.

    Returns:
        A float32 tensor of zeros and ones, shaped as ``logits``, that carries
        the gradient of ``S``.
    """
    logits = logits.float()
    # The clamp keeps both logarithms finite at the ends of [0, 1).
    uniform = rank_rand(logits.shape, logits.device).clamp_(1e-7, 1 - 1e-7)
    noisy = logits + uniform.log() - torch.log1p(-uniform)
    soft = torch.sigmoid(noisy / tau)
    hard = hard_sigmoid(noisy, threshold).to(soft.dtype)
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
    return logits.float() >= logit(threshold)


def logit(probability: float) -> float:
    """``log(p / (1 - p))``, which :func:`torch.sigmoid` maps back to ``p`` in (0, 1)."""
    return log(probability) - log(1 - probability)
