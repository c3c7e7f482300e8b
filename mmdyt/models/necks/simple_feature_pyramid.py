"""A pyramid of scales from the one map of a plain ViT."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpretrain.models.utils import LayerNorm2d
from torch import Tensor, nn

from mmdyt.registry import MODELS


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """Scale the last map of a backbone by 4, 2, 1 and 1/2, as ViTDet does.

    Deconvolutions enlarge and pooling shrinks; a 1 x 1 and a 3 x 3 convolution
    with layer norms follow on every scale. Further maps are every second
    position of the one before. See `Exploring Plain Vision Transformer Backbones
    for Object Detection <https://arxiv.org/abs/2203.16527>`_.

    Args:
        in_channels (int): Channels ``C`` of the last map.
        out_channels (int): Channels ``D`` of the pyramid. Defaults to 256.
        num_outs (int): Maps of the pyramid, at least 4. Defaults to 5.
        init_cfg (dict | list[dict] | None): Defaults to ``None``.

    Raises:
        ValueError: If ``num_outs`` is less than 4.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        num_outs: int = 5,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if num_outs < 4:
            raise ValueError(f"neck.num_outs must be at least 4, got {num_outs}")
        half, quarter = in_channels // 2, in_channels // 4
        enlarge: list[nn.Module] = [
            nn.ConvTranspose2d(in_channels, half, 2, stride=2),
            LayerNorm2d(half),
            nn.GELU(),
            nn.ConvTranspose2d(half, quarter, 2, stride=2),
        ]
        scales: list[tuple[int, list[nn.Module]]] = [
            (quarter, enlarge),
            (half, [nn.ConvTranspose2d(in_channels, half, 2, stride=2)]),
            (in_channels, []),
            (in_channels, [nn.MaxPool2d(2)]),
        ]
        self.scales = nn.ModuleList()
        for width, layers in scales:
            self.scales.append(
                nn.Sequential(
                    *layers,
                    nn.Conv2d(width, out_channels, 1, bias=False),
                    LayerNorm2d(out_channels),
                    nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
                    LayerNorm2d(out_channels),
                )
            )
        self.num_outs = num_outs

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Build the pyramid.

        Args:
            inputs: Maps of the backbone, of which the last counts,
                ``(B, C, H, W)``.

        Returns:
            ``num_outs`` maps from ``(B, D, 4 * H, 4 * W)`` down.
        """
        maps = [scale(inputs[-1]) for scale in self.scales]
        while len(maps) < self.num_outs:
            maps.append(F.max_pool2d(maps[-1], 1, stride=2))
        return tuple(maps)
