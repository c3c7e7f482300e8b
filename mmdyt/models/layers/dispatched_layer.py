"""What every layer with token dispatch has in common.

A layer is a sequence of residual branches. Each branch may have an adapter
beside it, which sees all tokens, and a dispatcher before it, which lets
inactive tokens pass by: ``x + M * branch(x) + adapter(x)`` (paper eq. 2 and
section 3.3). Which branches have them is data, so that the variants share one
code path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from mmcv.cnn.bricks import DropPath
from mmengine.model import ModuleDict
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.utils.checkpoint import checkpoint

from mmdyt.models.layers.fused_mlp import add_active_mlp, can_fuse
from mmdyt.ops import (
    active_graph,
    active_indices,
    gather_tokens,
    is_traced,
    keep_prefix,
    masked_branch,
    scatter_add_tokens,
)
from mmdyt.registry import MODELS
from mmdyt.structures import DispatchRecord


@dataclass(frozen=True)
class Variant:
    """Where a variant puts its adapters and dispatchers.

    Args:
        branches: The residual branches that the layer runs, in order.
        adapted: Those with an adapter beside them.
        dispatched: Those with a dispatcher before them.
    """

    branches: tuple[str, ...]
    adapted: tuple[str, ...]
    dispatched: tuple[str, ...]


VARIANTS: dict[str | None, Variant] = {
    None: Variant(("attn", "mlp"), adapted=("mlp",), dispatched=()),
    "mlp": Variant(("attn", "mlp"), adapted=("mlp",), dispatched=("mlp",)),
    "attn": Variant(("attn", "mlp"), adapted=("attn",), dispatched=("attn",)),
    "attn_mlp": Variant(("attn", "mlp"), adapted=("attn", "mlp"), dispatched=("attn", "mlp")),
    "layer": Variant(("layer",), adapted=("layer",), dispatched=("layer",)),
}


@dataclass(frozen=True)
class TokenSelection:
    """The tokens that a branch works on.

    Args:
        mask: Active tokens, ``(B, N)``, bool.
        indices: Where the branch gets only the active tokens, ``(K, C)``,
            their positions in ``B * N``, ``(K,)``. Defaults to ``None``: it
            gets all of them, ``(B, N, C)``.
    """

    mask: Tensor
    indices: Tensor | None = None


Branch = Callable[[Tensor, TokenSelection | None], Tensor]


class DispatchedLayer(nn.Module):
    """Mixin of a layer whose branches have adapters and dispatchers.

    A host layer calls :meth:`add_dispatch` once after its own construction, in
    ``_become_dispatched``, and :meth:`run_branches` in ``forward``; it
    implements ``_<name>_branch(x, selection)`` for the branches it supports.
    ``selection`` is ``None`` where all tokens take part. A host may name
    branches in ``token_wise``: those that treat every token on its own, with
    the module that holds their dropouts. Training then builds no graph of
    their inactive tokens, which have no gradient. Those in ``fusible`` are an
    MLP, named with its norm and FFN: inference on a GPU runs them fused where that is asked for.

    Attributes:
        adapter (ModuleDict): Adapters by branch.
        dispatcher (ModuleDict): Dispatchers by branch.
        dispatch_mode (str): ``'dynamic'``, ``'complete'``, ``'masked'`` or
            ``'joint'``; set through :func:`mmdyt.models.utils.dispatch_mode`.
        doubles (str | None): Branch before which a joint pass doubles the
            stream; managed by :func:`mmdyt.models.utils.joint_backbone`.
        inactive_share (float): Share of inactive tokens that training computes,
            see :func:`mmdyt.ops.active_graph`.
        with_cp (bool): Whether the backward pass computes the branches again
            instead of keeping their activations. Dispatchers and adapters are
            not repeated: a decision is taken once.
        idle (set[str]): Branches that no token beyond the prefix needs: they
            run on the prefix only, without a decision. Set by the export.
        sinks (list): Lists that receive records; managed by
            :func:`mmdyt.models.utils.collect_dispatch`.
    """

    supported_variants: tuple[str | None, ...] = tuple(VARIANTS)
    token_wise: dict[str, str] = {}
    fusible: dict[str, tuple[str, str]] = {}
    doubles: str | None = None
    inactive_share: float = 1.0
    with_cp: bool = False

    @classmethod
    def from_layer(cls, layer: nn.Module, **dispatch_args) -> DispatchedLayer:
        """Turn a plain layer of the host's class into a dispatched one, in place.

        The host backbone goes on constructing its layers as it likes
        (stochastic depth, ``layer_cfgs``, frozen stages), and nothing of that
        is repeated here.

        Args:
            layer: A freshly built plain layer.
            **dispatch_args: ``dispatch``, ``adapter``, ``dispatcher``,
                ``index`` and, where the host has one, ``num_prefix`` of its
                constructor.

        Returns:
            The same object, now of this class.
        """
        layer.__class__ = cls
        assert isinstance(layer, cls)
        layer._become_dispatched(**dispatch_args)
        return layer

    def _become_dispatched(self, *args, **dispatch_args) -> None:
        """Call :meth:`add_dispatch` and make the host's branches residual-free."""
        raise NotImplementedError

    def add_dispatch(
        self,
        dispatch: str | None,
        adapter: dict | None,
        dispatcher: dict | None,
        embed_dims: int,
        index: int = 0,
        num_prefix: int = 0,
    ) -> None:
        """Build the adapters and dispatchers of a variant.

        Args:
            dispatch: A key of :data:`VARIANTS`.
            adapter: Config of an adapter, or ``None`` for none.
            dispatcher: Config of a dispatcher; unused where ``dispatch`` is
                ``None``.
            embed_dims: Width ``C`` of the stream.
            index: Position of the layer in its backbone. Defaults to 0.
            num_prefix: Leading tokens that stay active. Defaults to 0.

        Raises:
            ValueError: If ``dispatch`` is unknown or this layer cannot run it,
                or if a dispatched variant has no dispatcher config.
        """
        if dispatch not in self.supported_variants:
            raise ValueError(
                f"backbone.dispatch={dispatch!r} is not supported by {type(self).__name__}; "
                f"choose one of {list(self.supported_variants)}"
            )
        if dispatch is not None and dispatcher is None:
            raise ValueError(f"backbone.dispatch={dispatch!r} needs backbone.dispatcher, got None")
        self.variant = VARIANTS[dispatch]
        self.layer_index = index
        self.num_prefix = num_prefix
        self.dispatch_mode = "dynamic"
        self.idle: set[str] = set()
        self.sinks: list[list[DispatchRecord]] = []
        self.adapter = ModuleDict()  # mmengine's, which passes init_weights on
        self.dispatcher = ModuleDict()
        if adapter is not None:
            for name in self.variant.adapted:
                self.adapter[name] = MODELS.build({**adapter, "embed_dims": embed_dims})
        if dispatcher is not None:
            for name in self.variant.dispatched:
                self.dispatcher[name] = MODELS.build({**dispatcher, "embed_dims": embed_dims})
        for part in self.modules():
            if isinstance(part, DropPath):  # numpy's, which torch.compile takes for a tensor
                part.drop_prob = float(part.drop_prob)

    def run_branches(self, x: Tensor) -> Tensor:
        """Run the layer's branches in order on the stream, ``(B, N, C)``."""
        for name in self.variant.branches:
            x = self._run_branch(name, x)
        return x

    def _run_branch(self, name: str, x: Tensor) -> Tensor:
        branch: Branch = self._recomputed(getattr(self, f"_{name}_branch"))
        if name in self.idle:
            return self._run_on_prefix(name, branch, x)
        if name not in self.dispatcher:
            return self._add_adapter(name, x, x + branch(x, None))
        if self.dispatch_mode == "complete":
            everything = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
            self._record(name, x, everything, None)
            return self._add_adapter(name, x, x + branch(x, None))

        if self.dispatch_mode == "joint":
            return self._run_joint(name, branch, x)
        mask = self._decide(name, x)
        if self.training or self.dispatch_mode == "masked":
            value = self._all_values(name, branch, x, mask.detach().bool())
            return self._add_adapter(name, x, x + masked_branch(value, mask))
        return self._skip_inactive(name, branch, x, mask.bool())

    def _recomputed(self, function: Callable) -> Callable:
        if self.with_cp and torch.is_grad_enabled():
            return partial(checkpoint, function, use_reentrant=False)
        return function

    def _decide(self, name: str, x: Tensor) -> Tensor:
        mask, logits = self.dispatcher[name](x)
        mask = keep_prefix(mask, self.num_prefix)
        self._record(name, x, mask, logits)
        return mask

    def _run_joint(self, name: str, branch: Branch, x: Tensor) -> Tensor:
        value = None
        if name == self.doubles:
            if self._is_apart(name):  # the two passes still agree on what the branch gives
                value = branch(x, None).repeat(2, 1, 1)
            x = x.repeat(2, 1, 1)  # (B, N, C) -> (2 * B, N, C): complete, dynamic
        mask = self._decide(name, x[len(x) // 2 :])
        mask = torch.cat([torch.ones_like(mask), mask])  # (2 * B, N)
        if value is None:
            value = self._all_values(name, branch, x, mask.detach().bool())
        return self._add_adapter(name, x, x + masked_branch(value, mask))

    def _run_on_prefix(self, name: str, branch: Branch, x: Tensor) -> Tensor:
        out = self._add_adapter(name, x, x)
        if self.num_prefix == 0:
            return out
        prefix = out[:, : self.num_prefix] + branch(x[:, : self.num_prefix], None)  # (B, P, C)
        return torch.cat([prefix, out[:, self.num_prefix :]], dim=1)

    def _is_apart(self, name: str) -> bool:
        # Noise would be another one, and that of stochastic depth is drawn an image.
        return name in self.token_wise and not _is_noisy(self.get_submodule(self.token_wise[name]))

    def _all_values(self, name: str, branch: Branch, x: Tensor, mask: Tensor) -> Tensor:
        if torch.is_grad_enabled() and self._is_apart(name):
            return active_graph(lambda tokens: branch(tokens, None), x, mask, self.inactive_share)
        return branch(x, TokenSelection(mask))

    def _skip_inactive(self, name: str, branch: Branch, x: Tensor, mask: Tensor) -> Tensor:
        if name in self.fusible:
            norm, ffn = (self.get_submodule(part) for part in self.fusible[name])
            if can_fuse(norm, ffn, x):
                x = x.contiguous()
                out = self._add_adapter(name, x, x) if name in self.adapter else x.clone()
                return add_active_mlp(out.contiguous(), x, mask, norm, ffn)
        indices = active_indices(mask)
        # A compiled graph takes one way for any number of active tokens.
        shortcuts = not is_traced()
        if shortcuts and indices.numel() == mask.numel():
            return self._add_adapter(name, x, x + branch(x, None))
        # Without a class token the stream starts as a transposed view of the patches.
        x = x.contiguous()
        out = self._add_adapter(name, x, x) if name in self.adapter else x.clone()
        if shortcuts and indices.numel() == 0:
            return out
        active = branch(gather_tokens(x, indices), TokenSelection(mask, indices))
        return scatter_add_tokens(out, indices, active)

    def _add_adapter(self, name: str, x: Tensor, out: Tensor) -> Tensor:
        if name not in self.adapter:
            return out
        adapter = self.adapter[name]
        if getattr(adapter, "takes_stream", False):
            return adapter(x, out)
        return out + adapter(x)

    def _record(self, name: str, x: Tensor, mask: Tensor, logits: Tensor | None) -> None:
        if not self.sinks:
            return
        has_adapter = name in self.adapter
        statistics = getattr(self.adapter[name], "statistics", None) if has_adapter else None
        extra = statistics(x) if statistics is not None else {}
        record = DispatchRecord(self.layer_index, name, mask, logits, self.num_prefix, extra)
        for sink in self.sinks:
            sink.append(record)


def _is_noisy(module: nn.Module) -> bool:
    """Whether a dropout or stochastic depth inside draws random numbers now."""
    return any(
        part.training and (part.p if isinstance(part, _DropoutNd) else part.drop_prob) > 0
        for part in module.modules()
        if isinstance(part, (_DropoutNd, DropPath))
    )
