"""Visual prompt tuning."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mmdyt.checks import check_choice, check_integer
from mmdyt.models.backbones.dyt_vit import DyTViT
from mmdyt.models.layers import DyTEncoderLayer, KeyValueAttention, PromptTokens
from mmdyt.models.utils.prompt_pruning import read_kept_prompts
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

    VPT (Jia et al., ECCV 2022), and with ``kv_prompts`` E2VPT (Han et al., ICCV
    2023, arXiv 2307.13770), of which these are the plain forms with
    ``dispatch=None, adapter=None``. Prompts are always active and not counted
    in the activation rate, so that Dynamic Tuning and prompts work together.
    Outputs hold no prompts, as every ``out_type`` has the parent's shape.

    As in all published commands of E2VPT one tensor serves as keys and values,
    and it starts Kaiming-uniform. Its masks for pruning multiply prompts there,
    and pruned ones go on as zeros; here they leave the sequence (our decision),
    and ``tools/analysis_tools/prompt_importance.py`` chooses them by the same
    scores, without parameters. No dropout of prompts.

    Args:
        *args: As ``DyTViT``.
        num_prompts (int): Prompts in a layer. Defaults to 10.
        prompt_depth (str): ``'shallow'``: prompts enter the first layer and
            run through; ``'deep'``: every layer has its own. Defaults to
            ``'deep'``.
        kv_prompts (int): Trained keys and values ``M`` of every attention.
            Defaults to 0.
        share_kv (bool): Whether one tensor serves as both. Defaults to ``True``.
        keep (str | None): A file of
            :func:`mmdyt.models.utils.prompt_pruning.save_kept_prompts`: the prompts
            and the segments of their channels that are left of ``num_prompts``.
            Defaults to ``None``: all.
        **kwargs: As ``DyTViT``.

    Raises:
        ValueError: If ``num_prompts`` is below 1 (0 with ``kv_prompts``),
            ``prompt_depth`` unknown, ``rel_pos_bias`` set, ``keep`` of another
            number of prompts or width, or if ``dispatch`` takes tokens from an
            attention with ``kv_prompts``.
    """

    layer_class = PromptedEncoderLayer
    needs_prompts = True

    def __init__(
        self,
        *args,
        num_prompts: int = 10,
        prompt_depth: str = "deep",
        kv_prompts: int = 0,
        share_kv: bool = True,
        keep: str | None = None,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        if kwargs.get("rel_pos_bias"):
            raise ValueError("backbone.rel_pos_bias has no place for prompts: leave it out")
        check_integer("backbone.kv_prompts", kv_prompts, "[0, inf)")
        least = 1 if self.needs_prompts and not kv_prompts else 0
        check_integer("backbone.num_prompts", num_prompts, f"[{least}, inf)")
        check_choice("backbone.prompt_depth", prompt_depth, DEPTHS)
        mask = None
        if keep is not None:
            mask = read_kept_prompts(keep, num_prompts, self.embed_dims)  # (P', C)
            num_prompts = len(mask)
        self.num_prompts = num_prompts
        # The bound of Glorot's uniform distribution over the patch projection.
        weight = self.patch_embed.projection.weight
        bound = math.sqrt(6 / (weight[0].numel() + self.embed_dims))
        for index, layer in enumerate(self.layers):
            layer.num_prefix += num_prompts
            if num_prompts and (index == 0 or prompt_depth == "deep"):
                places = self.num_extra_tokens, index > 0
                layer.prompts = PromptTokens(num_prompts, self.embed_dims, bound, *places, mask)
            else:
                layer.prompts = nn.Identity()
        if kv_prompts:
            self._needs_all_tokens("kv_prompts")
            for layer in self.layers:
                attn = KeyValueAttention.from_attention(layer.attn, kv_prompts, share_kv)
                bound = math.sqrt(6 / (kv_prompts * attn.head_dims))  # Kaiming's
                nn.init.uniform_(attn.prefix.tokens, -bound, bound)

    def _format_output(self, x: Tensor, hw: tuple[int, int]) -> Tensor:
        prompts_end = self.num_extra_tokens + self.num_prompts
        x = torch.cat([x[:, : self.num_extra_tokens], x[:, prompts_end:]], dim=1)
        return super()._format_output(x, hw)
