"""From points to tokens."""

from __future__ import annotations

from typing import Any

from torch import Tensor, cat, nn

from projects.point_clouds.grouping import group_points


class GroupEmbed(nn.Module):
    """A token for every group of points, and its position: Point-MAE's tokenizer.

    A mini-PointNet maps every point of a group, puts the group's maximum beside
    each, maps again and takes the maximum; a small MLP makes the position of the
    group's centre. Clouds are first centred on their mean (our decision: in the
    releases the data sets do it). Widths are the published ones for ``C = 384``
    (128, 256, 512) and in proportion elsewhere (ours).

    The last map is linear, and all others are 1 x 1 convolutions, as which SSF and
    DAPT leave them alone. DAPT's scale and shift of the tokens hence stand before
    the last maximum; that is the same for every scale above zero, and they are
    drawn from N(1, 0.02).

    Args:
        embed_dims: Width ``C`` of the tokens, a multiple of 3.
        num_groups: Groups, and hence tokens, ``G``.
        group_size: Points of a group, ``K``.

    Raises:
        ValueError: If ``embed_dims`` is no multiple of 3.
    """

    def __init__(self, embed_dims: int, num_groups: int, group_size: int) -> None:
        super().__init__()
        if embed_dims % 3:
            raise ValueError(f"backbone.arch.embed_dims must be a multiple of 3, got {embed_dims}")
        self.num_groups, self.group_size = num_groups, group_size
        third = embed_dims // 3
        self.first = nn.Sequential(
            nn.Conv1d(3, third, 1), nn.BatchNorm1d(third), nn.ReLU(), nn.Conv1d(third, 2 * third, 1)
        )
        self.second = nn.Sequential(
            nn.Conv1d(4 * third, 4 * third, 1), nn.BatchNorm1d(4 * third), nn.ReLU()
        )
        self.projection = nn.Linear(4 * third, embed_dims)
        self.position = nn.Sequential(
            nn.Conv1d(3, 128, 1), nn.GELU(), nn.Conv1d(128, embed_dims, 1)
        )

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Embed clouds.

        Args:
            points: Clouds, ``(B, P, 3)``.

        Returns:
            Tokens and their positions, both ``(B, G, C)``.

        Raises:
            ValueError: As :func:`group_points`.
        """
        points = points - points.mean(dim=1, keepdim=True)
        groups, centres = group_points(points, self.num_groups, self.group_size)
        x = self.first(groups.flatten(0, 1).transpose(1, 2))  # (B * G, 2 / 3 C, K)
        x = self.second(cat([x.amax(dim=2, keepdim=True).expand_as(x), x], dim=1))
        tokens = self.projection(x.transpose(1, 2)).amax(dim=1)  # (B * G, C)
        positions = self.position(centres.transpose(1, 2)).transpose(1, 2)
        return tokens.view(*positions.shape), positions

    def train(self, mode: bool = True) -> Any:
        """As any module, but frozen batch norms keep the statistics of their pre-training."""
        return super().train(mode and self.projection.weight.requires_grad)
