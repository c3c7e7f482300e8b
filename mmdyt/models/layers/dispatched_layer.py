"""The block of Dynamic Tuning, which every layer with token dispatch inherits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from mmcv.cnn.bricks import DropPath
from mmengine.model import ModuleDict
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmdyt.models.layers import rules
from mmdyt.models.layers.decisions import Decision
from mmdyt.models.layers.noise import draws_random
from mmdyt.models.layers.records import record_decision
from mmdyt.models.layers.variants import VARIANTS
from mmdyt.ops import autocasts_on_cpu, keep_prefix
from mmdyt.registry import MODELS
from mmdyt.structures import Collector, TokenSelection

Branch = Callable[[Tensor, TokenSelection | None], Tensor]


class DispatchedLayer(nn.Module):
    """Mixin of a layer whose residual branches have adapters and dispatchers.

    Put it before the host's layer, call :meth:`run_branches` in ``forward``,
    and implement ``_<name>_branch(x, selection)`` for the branches of the
    supported variants: they return what is to be added, without the residual.
    ``selection`` is ``None`` where all tokens take part. The host has its MLP
    in ``ffn``, as mmcv's ``FFN``.

    Args:
        *args: As the host's layer.
        dispatch (str | None): Dispatched branch, a key of
            ``mmdyt.models.layers.VARIANTS``. Defaults to ``'mlp'``.
        adapter (dict | None): Config of the adapters, ``None`` for none.
            Defaults to ``dict(type='mmdyt.BottleneckAdapter')``.
        dispatcher (dict | None): Config of the dispatchers. Defaults to
            ``dict(type='mmdyt.TokenDispatcher')``.
        index (int): Position of the layer in its backbone. Defaults to 0.
        num_prefix (int): Leading tokens that are always active. Defaults to 0.
        **kwargs: As the host's layer.

    Attributes:
        adapter (ModuleDict): Adapters by branch.
        dispatcher (ModuleDict): Dispatchers by branch.
        dispatch_mode (str): ``'dynamic'``, ``'complete'`` or ``'masked'``; set
            through :func:`mmdyt.models.utils.dispatch_mode`.
        with_cp (bool): Whether the backward pass computes the branches, but
            not the decisions, again instead of keeping their activations.
        fixed_rules (dict[str, Rule]): Rules by branch, set from outside: in
            place of ``skipping``, or of ``dense`` where there is no dispatcher.
        fixed_decisions (dict[str, Decision]): Decisions by branch, set from outside: in
            evaluation they take the place of the dispatcher's own.
        collectors (list): Receivers of the records; managed by
            :func:`mmdyt.models.utils.collect_dispatch`.

    Raises:
        ValueError: If ``dispatch`` is no variant of this layer or has no dispatcher.
    """

    supported_variants: tuple[str | None, ...] = tuple(VARIANTS)
    # Branches that treat every token on its own, with the module that holds their dropouts.
    token_wise: dict[str, str] = {}
    with_cp: bool = False

    def __init__(
        self,
        *args,
        dispatch: str | None = "mlp",
        adapter: dict | None = dict(type="mmdyt.BottleneckAdapter"),
        dispatcher: dict | None = dict(type="mmdyt.TokenDispatcher"),
        index: int = 0,
        num_prefix: int = 0,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._add_dispatch(dispatch, adapter, dispatcher, index, num_prefix)

    @classmethod
    def from_layer(cls, layer: nn.Module, **dispatch_args) -> DispatchedLayer:
        """Turn a plain layer of the host's class into a dispatched one, in place.

        Args:
            layer: A freshly built plain layer.
            **dispatch_args: Those of the constructor, from ``dispatch`` on, all of them.

        Returns:
            The same object, now of this class.

        Raises:
            TypeError: If the layer is of another class, a subclass of the
                host's included: it would compute something else.
        """
        bases = (base for base in cls.__mro__ if issubclass(base, nn.Module))
        host = next(base for base in bases if not issubclass(base, DispatchedLayer))
        if type(layer) is not host:
            raise TypeError(f"{cls.__name__} adopts {host.__name__}, not {type(layer).__name__}")
        layer.__class__ = cls
        assert isinstance(layer, cls)
        layer._add_dispatch(**dispatch_args)
        return layer

    @classmethod
    def check_variant(cls, dispatch: str | None, dispatcher: dict | None) -> None:
        """Refuse a variant that this layer cannot run, as the constructor does."""
        if dispatch not in cls.supported_variants:
            raise ValueError(
                f"backbone.dispatch={dispatch!r} is not supported by {cls.__name__}; "
                f"choose one of {list(cls.supported_variants)}"
            )
        if dispatch is not None and dispatcher is None:
            raise ValueError(f"backbone.dispatch={dispatch!r} needs backbone.dispatcher, got None")

    def _add_dispatch(
        self,
        dispatch: str | None,
        adapter: dict | None,
        dispatcher: dict | None,
        index: int,
        num_prefix: int,
    ) -> None:
        self.check_variant(dispatch, dispatcher)
        self.variant = VARIANTS[dispatch]
        self.layer_index = index
        self.num_prefix = num_prefix
        self.dispatch_mode = "dynamic"
        self.fixed_rules: dict[str, rules.Rule] = {}
        self.fixed_decisions: dict[str, Decision] = {}
        self.collectors: list[Collector] = []
        self.adapter = ModuleDict()  # mmengine's, which passes init_weights on
        self.dispatcher = ModuleDict()
        ffn: Any = self.ffn
        ffn.add_identity = False  # the residual is ours
        for config, names, parts in (
            (adapter, self.variant.adapted, self.adapter),
            (dispatcher, self.variant.dispatched, self.dispatcher),
        ):
            if config is not None:
                width = dict(embed_dims=ffn.embed_dims)
                parts.update({name: MODELS.build({**config, **width}) for name in names})
        for part in self.modules():
            if isinstance(part, DropPath):  # numpy's, which torch.compile takes for a tensor
                part.drop_prob = float(part.drop_prob)

    def run_branches(self, x: Tensor) -> Tensor:
        """Run the branches in order on the stream, ``(B, N, C)``."""
        for name in self.variant.branches:
            x = self.run_branch(name, x)
        return x

    def run_branch(self, name: str, x: Tensor) -> Tensor:
        """Run one branch: ``x + Adapter(x) + M * Block(x)``, paper equation 2."""
        mask = self.decide(name, x)
        base = self.plus_adapter(name, x)  # x + Adapter(x)
        return self.rule(name, mask)(self, name, base, x, mask)  # + M * Block(x)

    def plus_adapter(self, name: str, x: Tensor) -> Tensor:
        """``x + Adapter(x)``; a branch without an adapter leaves ``x`` as it is."""
        if name not in self.adapter:
            return x
        adapter = self.adapter[name]
        return adapter(x, x) if getattr(adapter, "takes_stream", False) else x + adapter(x)

    def decide(self, name: str, x: Tensor) -> Tensor | None:
        """``M``, ``(B, N)``, or ``None`` where every token takes part; both are recorded."""
        if name not in self.dispatcher:
            return None
        if self.dispatch_mode == "complete":
            record_decision(self, name, x, x.new_ones(x.shape[:2], dtype=torch.bool), None)
            return None
        mask, logits = self.dispatcher[name](x)
        if name in self.fixed_decisions and not self.training:
            threshold: Any = self.dispatcher[name].threshold
            mask = self.fixed_decisions[name](logits, threshold, self.num_prefix)
        mask = keep_prefix(mask, self.num_prefix)
        record_decision(self, name, x, mask, logits)
        return mask

    def rule(self, name: str, mask: Tensor | None) -> rules.Rule:
        """Choose how ``M * Block(x)`` is computed: training masks, inference skips."""
        if name not in self.dispatcher:
            return self.fixed_rules.get(name, rules.dense)
        if mask is None:
            return rules.dense
        if not self.training and self.dispatch_mode == "dynamic":
            return self.fixed_rules.get(name, rules.skipping)
        # Dropout would draw other noise for some tokens, and stochastic depth draws an image's.
        part = self.token_wise.get(name)
        token_wise = part is not None and not draws_random(self.get_submodule(part))
        # Products in bfloat16 on CPUs compile for every number of tokens anew: fixed shapes win.
        pays = torch.is_grad_enabled() and not autocasts_on_cpu()
        return rules.active_only if token_wise and pays else rules.masked

    def branch(self, name: str) -> Branch:
        """``Block`` itself, a function of tokens and :class:`TokenSelection`."""
        function: Branch = getattr(self, f"_{name}_branch")
        return self.recomputed(function)

    def recomputed(self, function: Callable) -> Callable:
        """A function that keeps no activations where :attr:`with_cp` asks for that."""
        if self.with_cp and torch.is_grad_enabled():
            return partial(checkpoint, function, use_reentrant=False)
        return function
