"""The Vision Transformer of Dynamic Tuning."""

from __future__ import annotations

from mmengine.utils import to_2tuple
from mmpretrain.models.backbones import VisionTransformer

from mmdyt.models.backbones.dispatched_backbone import DispatchedBackbone
from mmdyt.models.layers import BiasedAttention, DyTEncoderLayer
from mmdyt.registry import MODELS


@MODELS.register_module()
class DyTViT(DispatchedBackbone, VisionTransformer):
    """mmpretrain's ``VisionTransformer`` with adapters and token dispatch.

    Args:
        *args: As ``VisionTransformer``.
        rel_pos_bias (bool): Add a trained relative position bias to every
            attention, as the released segmentation model does. It ties the
            backbone to inputs of ``img_size``, and attention must see all
            tokens. Defaults to ``False``.
        with_cp (bool): Compute attention and MLPs again in the backward pass
            instead of keeping their activations. mmengine's
            ``activation_checkpointing`` would repeat the decisions too.
            Defaults to ``False``.
        **kwargs: As ``VisionTransformer`` and :class:`DispatchedBackbone`:
            ``dispatch``, ``adapter``, ``dispatcher``, ``num_dense_layers``.

    Raises:
        ValueError: As :class:`DispatchedBackbone`; if the patches do not tile
            ``img_size``, or ``rel_pos_bias`` meets a ``dispatch`` of attention.
    """

    layer_class = DyTEncoderLayer

    def __init__(self, *args, rel_pos_bias: bool = False, with_cp: bool = False, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._check_tiling()
        for layer in self.layers:
            layer.with_cp = with_cp
            if rel_pos_bias:
                self._add_bias(layer)

    def _add_bias(self, layer: DyTEncoderLayer) -> None:
        if not {"mlp"}.issuperset(layer.variant.dispatched):
            raise ValueError(
                "backbone.rel_pos_bias needs attention among all tokens: choose "
                f"backbone.dispatch='mlp' or None, got one of {layer.variant.dispatched}"
            )
        grid = self.patch_resolution
        BiasedAttention.from_attention(layer.attn, grid, self.num_extra_tokens)

    def _check_tiling(self) -> None:
        patch_size = to_2tuple(self.patch_embed.projection.kernel_size)
        if any(size % patch for size, patch in zip(self.img_size, patch_size)):
            raise ValueError(
                f"backbone.img_size={self.img_size} is not a multiple of "
                f"backbone.patch_size={patch_size}"
            )
