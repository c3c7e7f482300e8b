"""The Swin block of Dynamic Tuning."""

from __future__ import annotations

from mmcv.cnn.bricks.transformer import FFN
from mmpretrain.models.backbones.swin_transformer import SwinBlock
from torch import Tensor, nn

from mmdyt.models.layers.dispatched_layer import DispatchedLayer
from mmdyt.structures import TokenSelection


class DyTSwinBlock(DispatchedLayer, SwinBlock):
    """mmpretrain's ``SwinBlock`` with an adapter and dispatch of its MLP.

    Paper section 3.3: the MLP works on single tokens, so that its dispatch
    leaves windows and shifts as they are. Attention stays dense: a window with
    tokens missing would be another attention.

    Args:
        *args: As ``SwinBlock``.
        **kwargs: As ``SwinBlock`` and :class:`DispatchedLayer`; ``dispatch``
            is ``'mlp'`` or ``None``.
    """

    supported_variants = ("mlp", None)
    token_wise = {"mlp": "ffn"}

    norm1: nn.Module
    attn: nn.Module
    norm2: nn.Module
    ffn: FFN

    def forward(self, x: Tensor, hw_shape: tuple[int, int]) -> Tensor:
        """Run the block on tokens of shape ``(B, N, C)``, ``N = H * W``."""
        attend = self.recomputed(lambda x: self.attn(self.norm1(x), hw_shape))
        return self.run_branch("mlp", x + attend(x))

    def _mlp_branch(self, x: Tensor, selection: TokenSelection | None) -> Tensor:
        return self.ffn(self.norm2(x))
