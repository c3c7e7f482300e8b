"""Self-distillation from the complete model to the dynamic one."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def _softmax_divergence(student: Tensor, teacher: Tensor) -> Tensor:
    student, teacher = F.log_softmax(student, dim=1), F.log_softmax(teacher, dim=1)
    return F.kl_div(student, teacher, reduction="none", log_target=True)


def _sigmoid_divergence(student: Tensor, teacher: Tensor) -> Tensor:
    probability = teacher.sigmoid()
    cross = F.binary_cross_entropy_with_logits(student, probability, reduction="none")
    return cross - F.binary_cross_entropy_with_logits(teacher, probability, reduction="none")


DIVERGENCES = {"softmax": _softmax_divergence, "sigmoid": _sigmoid_divergence}


def logit_distill_loss(
    dynamic: Tensor,
    complete: Tensor,
    mask: Tensor | None = None,
    activation: str = "softmax",
) -> Tensor:
    """``KL(complete || dynamic)``, averaged over images and positions.

    Paper section 3.5. The complete model's prediction is the teacher and gets
    no gradient. Logits of dense prediction are averaged over pixels as well,
    so that the loss does not grow with ``H * W``. Computed in float32.

    Args:
        dynamic: Logits of the dynamic pass, ``(B, K)`` or ``(B, K, H, W)``.
        complete: Logits of the complete pass, of the same shape.
        mask: Which images or pixels count, ``(B,)`` or ``(B, H, W)``, bool.
            Defaults to ``None``: all.
        activation: What makes the logits probabilities: ``'softmax'`` over the
            ``K`` classes, or ``'sigmoid'`` where each class is a decision of
            its own (multi-label); their divergences add up. Defaults to
            ``'softmax'``.

    Returns:
        A scalar; 0 where nothing counts.
    """
    pointwise = DIVERGENCES[activation](dynamic.float(), complete.detach().float())
    divergence = pointwise.sum(dim=1)  # (B, K, ...) -> (B, ...)
    if mask is None:
        return divergence.mean()
    return (divergence * mask).sum() / mask.sum().clamp(min=1)
