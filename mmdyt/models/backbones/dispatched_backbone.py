"""What the backbones of Dynamic Tuning have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from mmdyt.checks import check_integer
from mmdyt.models.backbones.load_checks import require_whole_backbone
from mmdyt.models.layers import DispatchedLayer, PatchGrid


def dispatch_layers(
    layers: Sequence[nn.Module],
    layer_class: type[DispatchedLayer],
    dispatch: str | None,
    adapter: dict | None,
    dispatcher: dict | None,
    num_dense_layers: int = 0,
    num_prefix: int = 0,
) -> None:
    """Turn the layers of a plain backbone into dispatched ones, in place.

    Args:
        layers: The backbone's layers, in order.
        layer_class: What they become.
        dispatch: Dispatched branch, one of the variants of ``layer_class``.
        adapter: Config of the adapters, ``None`` for none.
        dispatcher: Config of the dispatchers.
        num_dense_layers: How many of the first layers have an adapter but no
            dispatch. Defaults to 0.
        num_prefix: Leading tokens that are always active. Defaults to 0.

    Raises:
        ValueError: If ``dispatch`` is unknown, or ``num_dense_layers`` is no
            integer or leaves no layer to dispatch.
        TypeError: If a layer is not of the host's class.
    """
    layer_class.check_variant(dispatch, dispatcher)
    most = len(layers) if dispatch is None else len(layers) - 1
    check_integer("backbone.num_dense_layers", num_dense_layers, f"[0, {most}]")
    for index, layer in enumerate(layers):
        layer_class.from_layer(
            layer,
            dispatch=dispatch if index >= num_dense_layers else None,
            adapter=adapter,
            dispatcher=dispatcher,
            index=index,
            num_prefix=num_prefix,
        )


class DispatchedBackbone:
    """Mixin of a backbone whose layers are adopted in place.

    Put it before the host's backbone and name the layers' class in
    ``layer_class``. The forward pass, the output types and the names of the
    weights are the host's: a plain checkpoint loads with only ``adapter.*`` and
    ``dispatcher.*`` missing, and ``dispatch=None, adapter=None`` is the plain
    backbone. An adapter with a method ``attach(layer, backbone)`` is called with
    both once the layers are there: it may take the patch grid
    (:meth:`patch_grid`) or share modules with the adapters of other layers.

    Args:
        *args: As the host.
        dispatch (str | None): Dispatched branch of every layer, a key of
            ``mmdyt.models.layers.VARIANTS``: ``'mlp'``, ``'attn'``,
            ``'attn_mlp'``, ``'layer'`` or ``None``. Defaults to ``'mlp'``.
        adapter (dict | None): Config of the adapters, ``None`` for none.
            Defaults to ``dict(type='mmdyt.BottleneckAdapter')``.
        dispatcher (dict | None): Config of the dispatchers. Defaults to
            ``dict(type='mmdyt.TokenDispatcher')``.
        num_dense_layers (int): How many of the first layers have an adapter
            but no dispatch. Defaults to 0.
        **kwargs: As the host.

    Raises:
        ValueError: As :func:`dispatch_layers`.
    """

    layer_class: type[DispatchedLayer]
    load_hooks: tuple[Callable, ...] = (require_whole_backbone,)

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
        assert isinstance(self, nn.Module)
        dispatch_layers(
            self.plain_layers(),
            self.layer_class,
            dispatch,
            adapter,
            dispatcher,
            num_dense_layers,
            num_prefix=getattr(self, "num_extra_tokens", 0),
        )
        self.dispatch = dispatch
        for layer in self.plain_layers():
            for part in layer.get_submodule("adapter").children():
                if (attach := getattr(part, "attach", None)) is not None:
                    attach(layer, self)
        for hook in self.load_hooks:
            self._register_load_state_dict_pre_hook(hook, with_module=True)

    def plain_layers(self) -> Sequence[nn.Module]:
        """The host's layers, in order."""
        assert isinstance(self, nn.Module)
        return list(self.get_submodule("layers").children())

    def patch_grid(self) -> PatchGrid:
        """Rows and columns of patches, set anew by every forward pass.

        Raises:
            ValueError: If the tokens of this backbone do not keep to one grid.
        """
        raise ValueError(
            f"backbone.type={type(self).__name__!r} keeps no single patch grid, which this "
            "backbone.adapter needs: take mmdyt.DyTViT, or mmdyt.BottleneckAdapter"
        )

    def train(self, mode: bool = True) -> Any:
        """Switch to training or evaluation; unlike mmpretrain's, it returns the module."""
        super().train(mode)  # type: ignore[misc]
        return self
