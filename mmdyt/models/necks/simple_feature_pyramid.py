"""A pyramid of scales from the one map of a plain ViT."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpretrain.models.utils import LayerNorm2d
from torch import Tensor, nn

from mmdyt.registry import MODELS


def _four(channels: int) -> tuple[int, list[nn.Module]]:
    half, quarter = channels // 2, channels // 4
    return quarter, [
        nn.ConvTranspose2d(channels, half, 2, stride=2),
        LayerNorm2d(half),
        nn.GELU(),
        nn.ConvTranspose2d(half, quarter, 2, stride=2),
    ]


def _two(channels: int) -> tuple[int, list[nn.Module]]:
    return channels // 2, [nn.ConvTranspose2d(channels, channels // 2, 2, stride=2)]


# By scale: the channels that are left, and the layers that resize.
RESIZERS: dict[float, Callable[[int], tuple[int, list[nn.Module]]]] = {
    4: _four,
    2: _two,
    1: lambda channels: (channels, []),
    0.5: lambda channels: (channels, [nn.MaxPool2d(2)]),
}


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
        scales (Sequence[float]): Sizes of the maps in terms of the backbone's,
            falling, out of 4, 2, 1 and 0.5. Defaults to all of them.
        num_outs (int): Maps of the pyramid, at least one a scale. Defaults to 5.
        init_cfg (dict | list[dict] | None): Defaults to ``None``.

    Raises:
        ValueError: If a scale is none of the four, or ``num_outs`` too small.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        scales: Sequence[float] = (4, 2, 1, 0.5),
        num_outs: int = 5,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if unknown := [scale for scale in scales if scale not in RESIZERS]:
            raise ValueError(f"neck.scales has {unknown}; choose among {list(RESIZERS)}")
        if num_outs < len(scales):
            raise ValueError(f"neck.num_outs must be at least {len(scales)}, got {num_outs}")
        self.scales = nn.ModuleList()
        for scale in scales:
            width, layers = RESIZERS[scale](in_channels)
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
            ``num_outs`` maps of ``D`` channels, by default from
            ``(B, D, 4 * H, 4 * W)`` down.
        """
        maps = [scale(inputs[-1]) for scale in self.scales]
        while len(maps) < self.num_outs:
            maps.append(F.max_pool2d(maps[-1], 1, stride=2))
        return tuple(maps)
