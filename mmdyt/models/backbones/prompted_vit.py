"""Visual prompt tuning."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mmdyt.checks import check_choice, check_integer
from mmdyt.models.backbones.dyt_vit import DyTViT
from mmdyt.models.layers import DyTEncoderLayer, PromptTokens
from mmdyt.registry import MODELS

DEPTHS = ("shallow", "deep")


class PromptedEncoderLayer(DyTEncoderLayer):
    """A layer that takes its prompts in before it runs."""

    prompts: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """Run the layer on tokens of shape ``(B, N, C)``, and prompts."""
        return super().forward(self.prompts(x))


@MODELS.register_module()
class PromptedViT(DyTViT):
    """``DyTViT`` with prompts as further prefix tokens.

    VPT (Jia et al., ECCV 2022), of which this is the plain form with
    ``dispatch=None, adapter=None``. Prompts are always active and not counted
    in the activation rate, so that Dynamic Tuning and prompts work together.
    Outputs hold no prompts, as every ``out_type`` has the parent's shape.

    Args:
        *args: As ``DyTViT``.
        num_prompts (int): Prompts in a layer. Defaults to 10.
        prompt_depth (str): ``'shallow'``: prompts enter the first layer and
            run through; ``'deep'``: every layer has its own. Defaults to
            ``'deep'``.
        **kwargs: As ``DyTViT``.

    Raises:
        ValueError: If ``num_prompts`` is below 1, ``prompt_depth`` unknown or
            ``rel_pos_bias`` set.
    """

    layer_class = PromptedEncoderLayer

    def __init__(self, *args, num_prompts: int = 10, prompt_depth: str = "deep", **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if kwargs.get("rel_pos_bias"):
            raise ValueError("backbone.rel_pos_bias has no place for prompts: leave it out")
        check_integer("backbone.num_prompts", num_prompts, "[1, inf)")
        check_choice("backbone.prompt_depth", prompt_depth, DEPTHS)
        self.num_prompts = num_prompts
        # The bound of Glorot's uniform distribution over the patch projection.
        weight = self.patch_embed.projection.weight
        bound = math.sqrt(6 / (weight[0].numel() + self.embed_dims))
        for index, layer in enumerate(self.layers):
            layer.num_prefix += num_prompts
            if index == 0 or prompt_depth == "deep":
                layer.prompts = PromptTokens(
                    num_prompts, self.embed_dims, bound, self.num_extra_tokens, replace=index > 0
                )
            else:
                layer.prompts = nn.Identity()

    def _format_output(self, x: Tensor, hw: tuple[int, int]) -> Tensor:
        prompts_end = self.num_extra_tokens + self.num_prompts
        x = torch.cat([x[:, : self.num_extra_tokens], x[:, prompts_end:]], dim=1)
        return super()._format_output(x, hw)
