"""Groups of neighbouring points, in plain torch: what DAPT's release has CUDA packages for."""

from __future__ import annotations

import torch
from torch import Tensor


def distances(one: Tensor, other: Tensor) -> Tensor:
    """Euclidean distances between points ``(B, P, 3)`` and ``(B, Q, 3)``: ``(B, P, Q)``."""
    # The way through a matrix product rounds, so that a point may lie off itself.
    return torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")


def take(points: Tensor, indices: Tensor) -> Tensor:
    """Points ``(B, P, 3)`` at indices ``(B, ...)``: ``(B, ..., 3)``."""
    flat = indices.flatten(1).unsqueeze(-1).expand(-1, -1, points.shape[-1])
    return points.gather(1, flat).view(*indices.shape, points.shape[-1])


def farthest_points(points: Tensor, number: int) -> Tensor:
    """Choose points one by one, each the farthest from all before it.

    The first is the farthest from the mean, so that the choice does not depend
    on the points' order. Where fewer than ``number`` points are distinct, some
    are chosen again.

    Args:
        points: Clouds, ``(B, P, 3)``.
        number: How many to choose, ``G``.

    Returns:
        Their indices, ``(B, G)``.
    """
    chosen = [distances(points, points.mean(dim=1, keepdim=True)).squeeze(-1).argmax(dim=1)]
    nearest = points.new_full(points.shape[:2], torch.inf)  # distance to the chosen ones, (B, P)
    for _ in range(number - 1):
        last = take(points, chosen[-1].unsqueeze(1))  # (B, 1, 3)
        nearest = torch.minimum(nearest, distances(points, last).squeeze(-1))
        chosen.append(nearest.argmax(dim=1))
    return torch.stack(chosen, dim=1)


def group_points(points: Tensor, num_groups: int, group_size: int) -> tuple[Tensor, Tensor]:
    """Put points into overlapping groups of neighbours.

    Args:
        points: Clouds, ``(B, P, 3)``.
        num_groups: Number of groups ``G``, by farthest-point sampling.
        group_size: Nearest points ``K`` of each centre, itself included.

    Returns:
        The groups seen from their centres, ``(B, G, K, 3)``, and the centres, ``(B, G, 3)``.

    Raises:
        ValueError: If a cloud has too few points for either number.
    """
    if points.dim() != 3 or points.shape[-1] != 3:
        raise ValueError(f"point clouds have the shape (B, P, 3), got {tuple(points.shape)}")
    for key, number in (("num_groups", num_groups), ("group_size", group_size)):
        if number > points.shape[1]:
            raise ValueError(
                f"backbone.{key}={number} is more than a cloud has points: {points.shape[1]}"
            )
    centres = take(points, farthest_points(points, num_groups))
    neighbours = distances(centres, points).topk(group_size, largest=False, sorted=False).indices
    return take(points, neighbours) - centres.unsqueeze(2), centres
