"""A linear map whose weights are mixed per image from several experts."""

from __future__ import annotations

import torch
from torch import Tensor


def mixed_linear(x: Tensor, alpha: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Apply ``sum_e alpha_e W_e`` and ``sum_e alpha_e b_e`` to an image's tokens.

    Paper equation 7. Mixing weights instead of outputs costs one projection
    whatever the number of experts, and gives the same, as the map is linear:
    ``(sum_e alpha_e W_e) x = sum_e alpha_e (W_e x)``.

    Args:
        x: Tokens, ``(B, N, I)``.
        alpha: Share of each expert per image, ``(B, E)``.
        weight: Weights of the experts, ``(E, O, I)``.
        bias: Biases of the experts, ``(E, O)``.

    Returns:
        ``(B, N, O)``.
    """
    mixed = (alpha @ weight.flatten(1)).unflatten(1, weight.shape[1:])  # (B, O * I) -> (B, O, I)
    return torch.baddbmm((alpha @ bias).unsqueeze(1), x, mixed.transpose(1, 2))
