"""Point-MAE's encoder with adapters and token dispatch, and DAPT on it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmdyt.checks import check_integer
from mmdyt.models.backbones import DAPTViT, DyTViT
from mmdyt.models.backbones.dispatched_backbone import DispatchedBackbone
from mmdyt.registry import MODELS
from projects.point_clouds.group_embed import GroupEmbed

OPTIONS = ("drop_rate", "drop_path_rate", "layer_cfgs", "with_cp", "init_cfg")
DISPATCH = ("dispatch", "adapter", "dispatcher", "num_dense_layers")


@MODELS.register_module()
class DyTPointTransformer(DyTViT):
    """``DyTViT`` on point clouds: groups of points in place of patches.

    The encoder of Point-MAE (Pang et al., ECCV 2022, arXiv 2203.06604) for
    classification. The layers, and so adapters, dispatch and what any backbone of
    mmdyt adds to them, are those of ``DyTViT``; ``dispatch=None, adapter=None`` is the
    plain encoder. Positions are added once, before the first layer, as DAPT's release
    does; Point-MAE's adds them in front of every layer. The class token is always
    active and outside the rate.

    Args:
        arch (str | dict): As ``VisionTransformer``; ``'deit-small'`` is the published one.
        num_groups (int): Groups of points ``G``, that is, tokens beside the class
            token. Defaults to 64, as published.
        group_size (int): Points of a group. Defaults to 32, as published.
        **kwargs: Those of ``DyTViT`` that have a meaning for points: ``OPTIONS`` and
            ``DISPATCH`` of this module.

    Raises:
        ValueError: If an option belongs to images, or a number is below 1; as ``DyTViT``.
    """

    head_parts = 2  # class token, maximum of the groups

    def __init__(
        self, arch: str | dict, num_groups: int = 64, group_size: int = 32, **kwargs
    ) -> None:
        if other := sorted(kwargs.keys() - {*OPTIONS, *DISPATCH}):
            raise ValueError(
                f"backbone.{other[0]} has no meaning for points; beside arch, num_groups and "
                f"group_size there are {[*OPTIONS, *DISPATCH]}"
            )
        check_integer("backbone.num_groups", num_groups, "[1, inf)")
        check_integer("backbone.group_size", group_size, "[1, inf)")
        super().__init__(arch, img_size=(num_groups, 1), patch_size=1, **kwargs)
        self.patch_embed = GroupEmbed(self.embed_dims, num_groups, group_size)
        self.pos_embed = None
        self.cls_position = nn.Parameter(torch.zeros(1, 1, self.embed_dims))
        nn.init.trunc_normal_(self.cls_position, std=0.02)
        self.num_features = [self.head_parts * self.embed_dims]

    patch_grid = DispatchedBackbone.patch_grid  # there is none

    def forward(self, points: Tensor) -> tuple[Tensor]:
        """Encode clouds.

        Args:
            points: Clouds, ``(B, P, 3)``.

        Returns:
            One feature, ``(B, head_parts * C)``.
        """
        tokens, positions = self.patch_embed(points)
        x = torch.cat([self.cls_token.expand(len(points), -1, -1), tokens], dim=1)
        first = self.cls_position.expand(len(points), -1, -1)
        x = self.drop_after_pos(x + torch.cat([first, positions], dim=1))
        for layer in self.layers:
            x = layer(x)
        return (self._format_output(self.ln1(x), self.img_size),)

    def _format_output(self, x: Tensor, hw: tuple[int, int]) -> Tensor:
        return torch.cat([x[:, 0], x[:, -hw[0] :].amax(dim=1)], dim=1)


@MODELS.register_module()
class DAPTPointTransformer(DAPTViT, DyTPointTransformer):
    """DAPT (Zhou et al., CVPR 2024, arXiv 2403.01439) as published: on points.

    ``DAPTViT`` on :class:`DyTPointTransformer`: dynamic adapters, scales and shifts
    of the tokens, of every linear map and of every norm, a prompt behind the class token
    after each layer, a trained class token and position. The head reads class token,
    mean of the prompts and maximum of the groups, as in the release.

    Args:
        *args: As :class:`DyTPointTransformer`.
        **kwargs: As ``DAPTViT`` and :class:`DyTPointTransformer`.

    Raises:
        ValueError: As both.
    """

    head_parts = 3

    def _format_output(self, x: Tensor, hw: tuple[int, int]) -> Tensor:
        prompts, groups = x[:, self.num_extra_tokens : -hw[0]], x[:, -hw[0] :]
        return torch.cat([x[:, 0], prompts.mean(dim=1), groups.amax(dim=1)], dim=1)
