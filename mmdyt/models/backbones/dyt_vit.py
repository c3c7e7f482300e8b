"""The Vision Transformer of Dynamic Tuning."""

from __future__ import annotations

from mmengine.model.weight_init import trunc_normal_
from mmengine.utils import to_2tuple
from mmpretrain.models.backbones import VisionTransformer

from mmdyt.models.backbones.load_checks import require_whole_backbone
from mmdyt.models.layers import BiasedAttention, DyTEncoderLayer
from mmdyt.registry import MODELS


@MODELS.register_module()
class DyTViT(VisionTransformer):
    """mmpretrain's ``VisionTransformer`` with adapters and token dispatch.

    The forward pass, the output types, the position embedding and the names of
    the weights are the parent's: a plain checkpoint loads with only
    ``adapter.*`` and ``dispatcher.*`` missing. ``dispatch=None, adapter=None``
    is the plain ViT.

    Args:
        *args: As ``VisionTransformer``.
        dispatch (str | None): Dispatched branch of every layer: ``'mlp'``,
            ``'attn'``, ``'attn_mlp'``, ``'layer'`` or ``None``. Defaults to
            ``'mlp'``.
        adapter (dict | None): Config of the adapters, ``None`` for none.
            Defaults to ``dict(type='mmdyt.BottleneckAdapter')``.
        dispatcher (dict | None): Config of the dispatchers. Defaults to
            ``dict(type='mmdyt.TokenDispatcher')``.
        num_dense_layers (int): How many of the first layers have an adapter
            but no dispatch. Defaults to 0.
        rel_pos_bias (bool): Add a trained relative position bias to every
            attention, as the released segmentation model does. It ties the
            backbone to inputs of ``img_size``, and attention must see all
            tokens. Defaults to ``False``.
        with_cp (bool): Compute attention and MLPs again in the backward pass
            instead of keeping their activations. mmengine's
            ``activation_checkpointing`` would repeat the decisions too.
            Defaults to ``False``.
        **kwargs: As ``VisionTransformer``.

    Raises:
        ValueError: If ``dispatch`` is unknown, ``num_dense_layers`` is outside
            ``[0, num_layers]``, the patches do not tile ``img_size``, or
            ``rel_pos_bias`` meets a ``dispatch`` of attention.
    """

    def __init__(
        self,
        *args,
        dispatch: str | None = "mlp",
        adapter: dict | None = dict(type="mmdyt.BottleneckAdapter"),
        dispatcher: dict | None = dict(type="mmdyt.TokenDispatcher"),
        num_dense_layers: int = 0,
        rel_pos_bias: bool = False,
        with_cp: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._check_tiling()
        if not 0 <= num_dense_layers <= self.num_layers:
            raise ValueError(
                f"backbone.num_dense_layers must be in [0, {self.num_layers}], "
                f"got {num_dense_layers}"
            )
        if rel_pos_bias and dispatch not in (None, "mlp"):
            raise ValueError(
                f"backbone.rel_pos_bias needs attention among all tokens: choose "
                f"backbone.dispatch='mlp' or None, got {dispatch!r}"
            )
        for index, layer in enumerate(self.layers):
            if rel_pos_bias:
                grid = self.patch_resolution
                BiasedAttention.from_attention(layer.attn, grid, self.num_extra_tokens)
            DyTEncoderLayer.from_layer(
                layer,
                dispatch=dispatch if index >= num_dense_layers else None,
                adapter=adapter,
                dispatcher=dispatcher,
                index=index,
                num_prefix=self.num_extra_tokens,
            )
            layer.with_cp = with_cp
        self._register_load_state_dict_pre_hook(require_whole_backbone, with_module=True)

    def init_weights(self) -> None:
        """Initialise, and keep the position embedding of a pre-trained file.

        The parent draws it anew where ``init_cfg`` is a list.
        """
        self.is_filled = False
        super(VisionTransformer, self).init_weights()
        if self.pos_embed is not None and not self.is_filled:
            trunc_normal_(self.pos_embed, std=0.02)

    def _check_tiling(self) -> None:
        patch_size = to_2tuple(self.patch_embed.projection.kernel_size)
        if any(size % patch for size, patch in zip(self.img_size, patch_size)):
            raise ValueError(
                f"backbone.img_size={self.img_size} is not a multiple of "
                f"backbone.patch_size={patch_size}"
            )
