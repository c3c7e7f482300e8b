"""The Swin Transformer of Dynamic Tuning."""

from __future__ import annotations

from mmpretrain.models.backbones import SwinTransformer

from mmdyt.models.backbones.load_checks import require_whole_backbone
from mmdyt.models.layers import DyTSwinBlock
from mmdyt.registry import MODELS


@MODELS.register_module()
class DyTSwinTransformer(SwinTransformer):
    """mmpretrain's ``SwinTransformer`` with adapters and MLP dispatch.

    The forward pass, the stages and the names of the weights are the parent's:
    a plain checkpoint loads with only ``adapter.*`` and ``dispatcher.*``
    missing. ``dispatch=None, adapter=None`` is the plain Swin Transformer.

    Args:
        *args: As ``SwinTransformer``.
        dispatch (str | None): ``'mlp'``, or ``None`` for adapter tuning
            without dispatch. Defaults to ``'mlp'``.
        adapter (dict | None): Config of the adapters, ``None`` for none.
            Defaults to ``dict(type='mmdyt.BottleneckAdapter')``.
        dispatcher (dict | None): Config of the dispatchers. Defaults to
            ``dict(type='mmdyt.TokenDispatcher')``.
        num_dense_layers (int): How many of the first blocks, counted over the
            stages, have an adapter but no dispatch. Defaults to 0.
        **kwargs: As ``SwinTransformer``.

    Raises:
        ValueError: If ``dispatch`` is neither ``'mlp'`` nor ``None``, or
            ``num_dense_layers`` is outside ``[0, number of blocks]``.
    """

    def __init__(
        self,
        *args,
        dispatch: str | None = "mlp",
        adapter: dict | None = dict(type="mmdyt.BottleneckAdapter"),
        dispatcher: dict | None = dict(type="mmdyt.TokenDispatcher"),
        num_dense_layers: int = 0,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        blocks = [block for stage in self.stages for block in stage.blocks]
        if not 0 <= num_dense_layers <= len(blocks):
            raise ValueError(
                f"backbone.num_dense_layers must be in [0, {len(blocks)}], got {num_dense_layers}"
            )
        for index, block in enumerate(blocks):
            DyTSwinBlock.from_layer(
                block,
                dispatch=dispatch if index >= num_dense_layers else None,
                adapter=adapter,
                dispatcher=dispatcher,
                index=index,
            )
        self._register_load_state_dict_pre_hook(_rename_old_keys, with_module=True)
        self._register_load_state_dict_pre_hook(require_whole_backbone, with_module=True)


def _rename_old_keys(module: DyTSwinTransformer, state_dict: dict, prefix: str, *_) -> None:
    """Take checkpoints of mmcls: the parent does so for its exact class only."""
    for name in ("weight", "bias"):
        if f"{prefix}norm.{name}" in state_dict:
            last = f"{prefix}norm{len(module.stages) - 1}.{name}"
            state_dict[last] = state_dict.pop(f"{prefix}norm.{name}")
    for key in [key for key in state_dict if key.startswith(prefix) and "attn_mask" in key]:
        del state_dict[key]
