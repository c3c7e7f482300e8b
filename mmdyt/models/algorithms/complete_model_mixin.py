"""The two-forward loss: complete model, dynamic model, distillation, rate."""

from __future__ import annotations

import inspect
import warnings
from contextlib import nullcontext

import torch
from mmpretrain.models.peft import LoRAModel
from torch import Tensor, nn

from mmdyt.models.algorithms.objective import DyTObjective
from mmdyt.models.backbones import DispatchedBackbone
from mmdyt.models.backbones.load_checks import require_whole_backbone
from mmdyt.models.losses import activation_rate, logit_distill_loss, token_rate_loss
from mmdyt.models.utils import (
    capture,
    collect_dispatch,
    dispatch_mode,
    dispatched_layers,
    hide_pass,
    keep_norm_statistics,
    set_trainable,
    trainable_names,
)
from mmdyt.models.utils.budget import clear_budget
from mmdyt.models.utils.load_guards import Started, guard_load, tell_config
from mmdyt.models.utils.model_config import plain_config, resolve_defaults


class CompleteModelMixin:
    """Give an OpenMMLab model the loss and the frozen backbone of DyT.

    Put it before the host class: ``class DyTImageClassifier(CompleteModelMixin,
    ImageClassifier)``. The host's ``loss(inputs, data_samples)`` runs once for
    the complete and once for the dynamic model; wrappers, heads and data
    parallel training see an ordinary ``loss``. A model without dispatched
    layers (AdaptFormer, linear probe, full tuning) has the host's loss only.
    Both add the ``extra_losses()`` of modules that have such a method: scalars
    by name of their last pass in training, the dynamic one; without dispatch
    the host's losses are then named ``task.*``.

    Losses are named ``complete.*``, ``dynamic.*``, ``distill_loss`` and
    ``rate_loss``; ``activation_rate`` is logged beside them. A prefix is needed
    since mmengine sums every key that contains ``loss`` and logs the sum as
    ``loss``.

    A checkpoint holds the whole model, also around mmpretrain's ``LoRAModel``.

    Args:
        *args: As the host class.
        dyt (dict | None): Fields of :class:`DyTObjective`; those left out come
            from the class's ``default_objective``. Defaults to ``None``.
        tuning (str): What trains: ``'peft'``, ``'linear'``, ``'bitfit'`` or ``'full'``; see
            :func:`mmdyt.models.utils.set_trainable`. Defaults to ``'peft'``.
        **kwargs: As the host class.

    Attributes:
        budgets (dict | None): Table of budgets (:func:`mmdyt.set_budget`) of these weights;
            a loss in training discards it.

    Raises:
        ValueError: If the backbone is a ``LoRAModel`` of a backbone that is none of mmdyt's.
    """

    logits_module = "head"
    heads: tuple[str, ...] = ("head",)
    default_objective = DyTObjective()
    budgets: dict | None = None

    @property
    def distill_activation(self) -> str:
        """What the head makes of its logits: ``'softmax'``, or ``'sigmoid'`` (multi-label)."""
        return "softmax"

    def __init__(self, *args, dyt: dict | None = None, tuning: str = "peft", **kwargs) -> None:
        objective = self.default_objective.updated(dyt)
        # Before the host changes what it is given.
        named = dict(zip(inspect.signature(super().__init__).parameters, args)) | kwargs
        config = plain_config(dict(named, type=type(self), dyt=dyt, tuning=tuning))
        super().__init__(*args, **kwargs)
        assert isinstance(self, nn.Module)
        self.built_from = config
        self.resolved_config = resolve_defaults(config)
        self.started = Started()
        self._register_state_dict_hook(tell_config)
        self._register_load_state_dict_pre_hook(guard_load, with_module=True)
        backbone = self.get_submodule("backbone")
        if isinstance(backbone, LoRAModel):
            _hold_all_weights(backbone)
        elif not isinstance(backbone, DispatchedBackbone):
            backbone._register_load_state_dict_pre_hook(require_whole_backbone, with_module=True)
        self.objective = objective
        self.tuning = tuning
        set_trainable(self, tuning, self.heads)
        self.trained_names = frozenset(trainable_names(self))
        if dyt and not self._dispatches():
            warnings.warn(
                f"model.dyt={dyt} has no effect: the backbone has no token dispatchers; set "
                "backbone.dispatch, or leave model.dyt out",
                stacklevel=2,
            )

    def _dispatches(self) -> bool:
        assert isinstance(self, nn.Module)
        return any(len(layer.dispatcher) for layer in dispatched_layers(self))

    def init_weights(self) -> None:
        """Initialise the model for training; from now on it also takes single parts."""
        self.started.done = True
        super().init_weights()  # type: ignore[misc]

    def print_trainable_parameters(self) -> None:
        """Print how many parameters train and how many there are, as peft does."""
        assert isinstance(self, nn.Module)
        trainable = sum(param.numel() for param in self.parameters() if param.requires_grad)
        total = sum(param.numel() for param in self.parameters())
        print(
            f"trainable params: {trainable:,} || all params: {total:,} || "
            f"trainable%: {100 * trainable / total:.4f}"
        )

    def loss(self, inputs: Tensor, data_samples: list, **kwargs) -> dict[str, Tensor]:
        """Compute all losses of a batch.

        Args:
            inputs: What the host's ``loss`` takes.
            data_samples: What the host's ``loss`` takes.
            **kwargs: What the host's ``loss`` takes.

        Returns:
            Scalars by name.
        """
        assert isinstance(self, nn.Module)
        if self.training:  # what was measured on the weights as they are holds no longer
            self.budgets = None
            clear_budget(self)
        host_loss = super().loss  # type: ignore[misc]
        if not self._dispatches():
            task = host_loss(inputs, data_samples, **kwargs)
            extra = self._extra_losses()
            # A name 'loss' beside others would stand in the log in place of the sum.
            return _weighted(task, "task.", 1.0) | extra if extra else task

        goal = self.objective
        losses: dict[str, Tensor] = {}
        if goal.complete_weight or goal.distill_weight:
            with (
                nullcontext() if goal.complete_weight else torch.no_grad(),
                dispatch_mode(self, "complete"),
                hide_pass(self),
                keep_norm_statistics(self),
                capture(self, self.logits_module) as teacher,
            ):
                complete = host_loss(inputs, data_samples, **kwargs)
            # Old versions of torch would give the next pass its casts without a graph.
            torch.clear_autocast_cache()
            if goal.complete_weight:
                losses.update(_weighted(complete, "complete.", goal.complete_weight))
        with collect_dispatch(self) as records, capture(self, self.logits_module) as student:
            dynamic = host_loss(inputs, data_samples, **kwargs)
        losses.update(_weighted(dynamic, "dynamic.", 1.0))
        if goal.distill_weight:
            mask = self.distill_mask(student[-1], data_samples)
            distill = logit_distill_loss(student[-1], teacher[-1], mask, self.distill_activation)
            losses["distill_loss"] = goal.distill_weight * distill
        rate = activation_rate(records)
        self._check_graph(rate)
        losses["rate_loss"] = goal.rate_weight * token_rate_loss(rate, goal.target_rate)
        losses["activation_rate"] = rate.detach()
        return losses | self._extra_losses()

    def _extra_losses(self) -> dict[str, Tensor]:
        """Sum by name what modules add to the loss.

        Raises:
            ValueError: If a name lacks ``loss``, by which mmengine chooses what to sum.
        """
        assert isinstance(self, nn.Module)
        total: dict[str, Tensor] = {}
        for path, module in self.named_modules():
            if not hasattr(type(module), "extra_losses"):
                continue
            for name, value in module.extra_losses().items():
                if "loss" not in name:
                    raise ValueError(
                        f"{path}.extra_losses() returns {name!r}: mmengine would log it, but sums "
                        "only names that contain 'loss'"
                    )
                total[name] = total[name] + value if name in total else value
        return total

    def _check_graph(self, rate: Tensor) -> None:
        assert isinstance(self, nn.Module)
        learned = any(
            param.requires_grad
            for layer in dispatched_layers(self)
            for param in layer.dispatcher.parameters()
        )
        if learned and torch.is_grad_enabled() and not rate.requires_grad:
            raise RuntimeError(
                "the decisions have no gradient, as in evaluation mode (call model.train(), or "
                "compute the loss in torch.no_grad()), under mmengine's activation_checkpointing "
                "(leave that out and set model.backbone.with_cp=True) or inside "
                "dispatch_mode(model, 'complete')"
            )

    def distill_mask(self, logits: Tensor, data_samples: list) -> Tensor | None:
        """Say which logits the distillation loss counts: all, unless overridden.

        Args:
            logits: What ``logits_module`` returned, ``(B, K, ...)``.
            data_samples: What the host's ``loss`` takes.

        Returns:
            A mask for :func:`mmdyt.models.losses.logit_distill_loss`.
        """
        return None


def _hold_all_weights(backbone: LoRAModel) -> None:
    """Let checkpoints have the frozen part too, without which they fit any backbone.

    Raises:
        ValueError: If the wrapped backbone does not check what it is filled from.
    """
    if not isinstance(backbone.module, DispatchedBackbone):
        raise ValueError(
            f"model.backbone.module.type={type(backbone.module).__name__!r} would take any part of "
            "a pre-trained file, as LoRAModel loads it at once: set "
            "model.backbone.module=dict(type='mmdyt.DyTViT', dispatch=None, adapter=None, ...)"
        )
    backbone._state_dict_hooks.clear()
    backbone._load_state_dict_post_hooks.clear()


def _weighted(losses: dict, prefix: str, weight: float) -> dict:
    """Prefix all keys and weight those that mmengine will sum."""

    def scale(key: str, value):
        if "loss" not in key:
            return value
        return [weight * v for v in value] if isinstance(value, list) else weight * value

    return {prefix + key: scale(key, value) for key, value in losses.items()}
