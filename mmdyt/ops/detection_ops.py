"""Operators of detection under the names and signatures of mmcv's compiled ones.

mmcv's Python side hands them its output tensors to fill. The work is done by
torchvision's own operators, on CPUs and GPUs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor

__all__ = [
    "nms",
    "roi_align_backward",
    "roi_align_forward",
    "sigmoid_focal_loss_backward",
    "sigmoid_focal_loss_forward",
]


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Suppress boxes that overlap one of a higher score.

    Args:
        boxes: Corners ``x1, y1, x2, y2``, ``(N, 4)``.
        scores: ``(N,)``.
        iou_threshold: Overlap above which the lower score goes.
        offset: 1 where ``x2, y2`` are the last pixels inside, otherwise 0.

    Returns:
        Kept positions by falling score, ``(K,)``, int64.
    """
    corners = boxes.float() + boxes.new_tensor([0, 0, offset, offset], dtype=torch.float)
    return torchvision.ops.nms(corners, scores.float(), iou_threshold)


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Average a feature map over the bins of every region.

    Args:
        input: Feature maps, ``(B, C, H, W)``.
        rois: Image and corners of the regions, ``(R, 5)``.
        output: Filled here, ``(R, C, aligned_height, aligned_width)``.
        argmax_y: Not used.
        argmax_x: Not used.
        aligned_height: Bins of a column.
        aligned_width: Bins of a row.
        spatial_scale: Pixels of the map a pixel of the image.
        sampling_ratio: Samples a bin and direction; 0 adapts them to the region.
        pool_mode: 1, the average.
        aligned: Whether corners are shifted by half a pixel.

    Raises:
        NotImplementedError: If ``pool_mode`` is 0, the maximum.
    """
    if pool_mode != 1:
        raise NotImplementedError("roi_align with pool_mode='max' needs mmcv's compiled operators")
    # Corners in half precision would be off by pixels.
    dtype = torch.promote_types(input.dtype, torch.float)
    output.copy_(
        torchvision.ops.roi_align(
            input.to(dtype),
            rois.to(dtype),
            (aligned_height, aligned_width),
            spatial_scale,
            sampling_ratio,
            aligned,
        )
    )


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fill ``grad_input``, ``(B, C, H, W)``, from ``grad_output``; see the forward."""
    dtype = torch.promote_types(grad_output.dtype, torch.float)
    grad_input.copy_(
        torch.ops.torchvision._roi_align_backward(
            grad_output.to(dtype),
            rois.to(dtype),
            spatial_scale,
            aligned_height,
            aligned_width,
            *grad_input.shape,
            sampling_ratio,
            aligned,
        )
    )


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Compute the focal loss of every logit.

    Args:
        input: Logits, ``(N, K)``.
        target: Classes in ``[0, K)``, or ``K`` for background, ``(N,)``.
        weight: Weights of the classes, ``(K,)``, or empty. Background has 1.
        output: Filled here, ``(N, K)``.
        gamma: Exponent of the focus.
        alpha: Weight of the positive class.
    """
    output.copy_(_focal_loss(input, target, weight, gamma, alpha))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Fill ``grad_input``, ``(N, K)``, with the loss's derivative; see the forward."""
    with torch.enable_grad():
        logits = input.detach().requires_grad_()
        loss = _focal_loss(logits, target, weight, gamma, alpha).sum()
        grad_input.copy_(torch.autograd.grad(loss, logits)[0])


def _focal_loss(
    logits: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float
) -> Tensor:
    logits = logits.to(torch.promote_types(logits.dtype, torch.float))
    classes = torch.arange(logits.shape[1], device=logits.device)
    hot = (target[:, None] == classes).to(logits.dtype)  # (N, K)
    loss = torchvision.ops.sigmoid_focal_loss(logits, hot, alpha=alpha, gamma=gamma)
    if weight.numel():
        loss = loss * F.pad(weight, (0, 1), value=1.0)[target][:, None]  # (K + 1,) -> (N, 1)
    return loss
