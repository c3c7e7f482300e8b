"""The Vision Transformer of Dynamic Tuning."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model.weight_init import trunc_normal_
from mmengine.utils import to_2tuple
from mmpretrain.models.backbones import VisionTransformer

from mmdyt.checks import check_integer
from mmdyt.models.backbones.dispatched_backbone import DispatchedBackbone
from mmdyt.models.layers import BiasedAttention, DyTEncoderLayer, PatchGrid, WindowAttention
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
        window_size (int | None): Side in patches of the windows that attention
            is limited to, as in ViTDet; attention must see all tokens. Defaults
            to ``None``: no windows.
        global_layers (Sequence[int] | None): Layers whose attention has no
            windows all the same. Defaults to ``None``: four, evenly spaced, as
            2, 5, 8, 11 of 12.
        **kwargs: As ``VisionTransformer`` and :class:`DispatchedBackbone`:
            ``dispatch``, ``adapter``, ``dispatcher``, ``num_dense_layers``.

    Raises:
        ValueError: As :class:`DispatchedBackbone`; if the patches do not tile
            ``img_size``; if ``rel_pos_bias`` or ``window_size`` meets a
            ``dispatch`` of attention, or each other; or if one of
            ``global_layers`` is no layer.
    """

    layer_class = DyTEncoderLayer
    _patch_grid: PatchGrid | None = None

    def __init__(
        self,
        *args,
        rel_pos_bias: bool = False,
        with_cp: bool = False,
        window_size: int | None = None,
        global_layers: Sequence[int] | None = None,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._check_tiling()
        for layer in self.layers:
            layer.with_cp = with_cp
        if rel_pos_bias and window_size is not None:
            raise ValueError("backbone.rel_pos_bias and backbone.window_size exclude each other")
        if rel_pos_bias:
            self._needs_all_tokens("rel_pos_bias")
            for layer in self.layers:
                BiasedAttention.from_attention(
                    layer.attn, self.patch_resolution, self.num_extra_tokens
                )
        if window_size is not None:
            self._needs_all_tokens("window_size")
            self._add_windows(window_size, global_layers)

    def _needs_all_tokens(self, option: str) -> None:
        if self.dispatch not in ("mlp", None):
            raise ValueError(
                f"backbone.{option} needs attention among all tokens: choose "
                f"backbone.dispatch='mlp' or None, got {self.dispatch!r}"
            )

    def _add_windows(self, size: int, global_layers: Sequence[int] | None) -> None:
        check_integer("backbone.window_size", size, "[1, inf)")
        if global_layers is None:
            global_layers = [-(-part * self.num_layers // 4) - 1 for part in (1, 2, 3, 4)]
        for index in global_layers:
            check_integer("backbone.global_layers", index, f"[0, {self.num_layers - 1}]")
        for index, layer in enumerate(self.layers):
            if index not in global_layers:
                WindowAttention.from_attention(layer.attn, size, self.patch_grid())

    def patch_grid(self) -> PatchGrid:
        """Rows and columns of patches, set anew by every forward pass."""
        if self._patch_grid is None:
            self._patch_grid = PatchGrid()
            self.patch_embed.register_forward_hook(self._patch_grid.read)
        return self._patch_grid

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
