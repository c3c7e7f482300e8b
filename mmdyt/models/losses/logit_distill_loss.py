"""Self-distillation from the complete model to the dynamic one."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def logit_distill_loss(dynamic: Tensor, complete: Tensor, mask: Tensor | None = None) -> Tensor:
    """``KL(complete || dynamic)``, averaged over images and positions.

    Paper section 3.5. The complete model's prediction is the teacher and gets
    no gradient. Logits of dense prediction are averaged over pixels as well,
    so that the loss does not grow with ``H * W``. Computed in float32.

    Args:
        dynamic: Logits of the dynamic pass, ``(B, K)`` or ``(B, K, H, W)``.
        complete: Logits of the complete pass, of the same shape.
        mask: Which images or pixels count, ``(B,)`` or ``(B, H, W)``, bool.
            Defaults to ``None``: all.

    Returns:
        A scalar; 0 where nothing counts.
    """
    student = F.log_softmax(dynamic.float(), dim=1)
    teacher = F.log_softmax(complete.detach().float(), dim=1)
    pointwise = F.kl_div(student, teacher, reduction="none", log_target=True)
    divergence = pointwise.sum(dim=1)  # (B, K, ...) -> (B, ...)
    if mask is None:
        return divergence.mean()
    return (divergence * mask).sum() / mask.sum().clamp(min=1)
