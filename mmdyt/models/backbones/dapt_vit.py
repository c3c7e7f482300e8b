"""DAPT: dynamic adapters, scaled features and prompts that the adapters make."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdyt.models.backbones.ssf_vit import SSFViT
from mmdyt.models.layers import DyTEncoderLayer, ScaleShift, TunedModule
from mmdyt.registry import MODELS


class DAPTEncoderLayer(DyTEncoderLayer):
    """A layer that puts one prompt behind the class token after it ran.

    Stochastic depth drops the MLP alone; in DAPT's released code it drops MLP and
    adapter together.
    """

    supported_variants = (None, "mlp")
    tfts: ScaleShift

    def forward(self, x: Tensor) -> Tensor:
        """Run the layer, ``(B, N, C)`` to ``(B, N + 1, C)``."""
        x = self.run_branch("attn", x)
        mask, adapted = self.decide("mlp", x), self.adapter["mlp"](x)
        prompt = self.tfts(F.gelu(adapted).mean(dim=1, keepdim=True))  # (B, 1, C)
        x = self.rule("mlp", mask)(self, "mlp", x + adapted, x, mask)
        first = self.num_prefix - self.layer_index  # the class token, if there is one
        return torch.cat([x[:, :first], prompt.to(x.dtype), x[:, first:]], dim=1)


class ClassPosition(TunedModule):
    """A trained shift of the class token's position.

    Args:
        embed_dims: Width ``C``.
    """

    def __init__(self, embed_dims: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(embed_dims))

    def forward(self, x: Tensor) -> Tensor:
        """Shift the first of the tokens ``(B, N, C)``."""
        return torch.cat([x[:, :1] + self.shift, x[:, 1:]], dim=1)


def _shift_class_token(module: nn.Module, _args: tuple, out: Tensor) -> Tensor:
    return module.get_submodule("cls_position")(out)


@MODELS.register_module()
class DAPTViT(SSFViT):
    """``SSFViT`` with dynamic adapters and internal prompts.

    DAPT (Zhou et al., CVPR 2024, arXiv 2403.01439), published for point clouds, of
    which this is the plain form on images with ``dispatch=None`` and
    :class:`~mmdyt.models.adapters.DynamicAdapter`. As in the released code: scales from
    N(1, 0.02) and shifts from N(0, 0.02) behind every operation, so that a fresh
    model is near the frozen one, not equal to it; the prompt
    ``TFTS(mean_N gelu(adapter output))`` stands behind the class token after each
    block, so that layer ``l`` sees ``l`` prompts, always active and outside the
    rate; the class token and its position train. The published head reads class
    token, mean of the prompts and maximum of the patches; here outputs hold no
    prompts, as every ``out_type`` has the parent's shape (our decision).

    Args:
        *args: As ``DyTViT``.
        adapter (dict): Defaults to ``dict(type='mmdyt.DynamicAdapter')``.
        **kwargs: As ``DyTViT``; ``dispatch`` is ``'mlp'`` or ``None``.

    Raises:
        ValueError: If there is no adapter, ``dispatch`` takes tokens from
            attention, or ``rel_pos_bias`` is set.
    """

    layer_class = DAPTEncoderLayer
    tuned_parameters = ("cls_token",)

    def __init__(
        self, *args, adapter: dict | None = dict(type="mmdyt.DynamicAdapter"), **kwargs
    ) -> None:
        if adapter is None:
            raise ValueError("backbone.adapter=None leaves nothing that makes DAPT's prompts")
        if kwargs.get("rel_pos_bias"):
            raise ValueError("backbone.rel_pos_bias has no place for prompts: leave it out")
        super().__init__(*args, adapter=adapter, std=0.02, **kwargs)
        for index, layer in enumerate(self.layers):
            layer.num_prefix += index
            layer.tfts = ScaleShift(self.embed_dims, std=0.02)
        if self.cls_token is not None:
            self.drop_after_pos.cls_position = ClassPosition(self.embed_dims)
            self.drop_after_pos.register_forward_hook(_shift_class_token)

    def _format_output(self, x: Tensor, hw: tuple[int, int]) -> Tensor:
        patches = x[:, x.shape[1] - hw[0] * hw[1] :]
        return super()._format_output(torch.cat([x[:, : self.num_extra_tokens], patches], 1), hw)
