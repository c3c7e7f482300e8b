"""The Swin block of Dynamic Tuning."""

from __future__ import annotations

from mmcv.cnn.bricks.transformer import FFN
from mmpretrain.models.backbones.swin_transformer import SwinBlock
from torch import Tensor, nn

from mmdyt.models.layers.dispatched_layer import DispatchedLayer, TokenSelection


class DyTSwinBlock(DispatchedLayer, SwinBlock):
    """mmpretrain's ``SwinBlock`` with an adapter and dispatch of its MLP.

    Paper section 3.3: the MLP works on single tokens, so that its dispatch
    leaves windows and shifts as they are. Attention stays dense: a window with
    tokens missing would be another attention.

    Args:
        *args: As ``SwinBlock``.
        dispatch (str | None): ``'mlp'``, or ``None`` for adapter tuning
            without dispatch. Defaults to ``'mlp'``.
        adapter (dict | None): Config of the adapter, ``None`` for none.
            Defaults to ``dict(type='mmdyt.BottleneckAdapter')``.
        dispatcher (dict | None): Config of the dispatcher. Defaults to
            ``dict(type='mmdyt.TokenDispatcher')``.
        index (int): Position of the block in its backbone. Defaults to 0.
        **kwargs: As ``SwinBlock``.
    """

    supported_variants = ("mlp", None)
    token_wise = {"mlp": "ffn"}
    fusible = {"mlp": ("norm2", "ffn")}

    norm1: nn.Module
    attn: nn.Module
    norm2: nn.Module
    ffn: FFN

    def __init__(
        self,
        *args,
        dispatch: str | None = "mlp",
        adapter: dict | None = dict(type="mmdyt.BottleneckAdapter"),
        dispatcher: dict | None = dict(type="mmdyt.TokenDispatcher"),
        index: int = 0,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._become_dispatched(dispatch, adapter, dispatcher, index)

    def _become_dispatched(
        self, dispatch: str | None, adapter: dict | None, dispatcher: dict | None, index: int
    ) -> None:
        self.add_dispatch(dispatch, adapter, dispatcher, self.ffn.embed_dims, index)
        # The branches return what is to be added; the residual is ours.
        self.ffn.add_identity = False

    def forward(self, x: Tensor, hw_shape: tuple[int, int]) -> Tensor:
        """Run the block on tokens of shape ``(B, N, C)``, ``N = H * W``."""
        attend = self._recomputed(lambda x: self.attn(self.norm1(x), hw_shape))
        return self._run_branch("mlp", x + attend(x))

    def _mlp_branch(self, x: Tensor, selection: TokenSelection | None) -> Tensor:
        return self.ffn(self.norm2(x))
