"""Open the dispatchers first, and close them to the target rate while they train."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import nn

from mmdyt.checks import check_number
from mmdyt.models.dispatchers import TokenDispatcher
from mmdyt.models.utils import dispatched_layers
from mmdyt.ops import logit
from mmdyt.registry import HOOKS


@HOOKS.register_module()
class RateScheduleHook(Hook):
    """Move the target of the rate loss linearly to ``model.dyt.target_rate``, and stay there.

    At the start every token is active: adapters and heads learn on the features
    of the whole backbone before dispatchers take tokens away, which short
    trainings need. The biases of the dispatchers follow the target: a bias of
    ``logit(target)``, over that of the threshold, makes tokens active at that rate
    in training, whatever the learning rate. What dispatchers learn comes on top,
    and the task would have every token: where the rate of an iteration is not its
    target, all biases move by ``gain * (logit(target) - logit(rate))`` after it. A
    resumed run of the same length goes on as an uninterrupted one. The target is
    logged as ``target_rate``.

    Args:
        begin (float): Target of the first iteration, in (0, 1]. Defaults to 1.0.
        end (float): Share of the training after which the target is
            ``model.dyt.target_rate``, in (0, 1]. Defaults to 0.75.
        bias (float): The bias of a target of 1, and the most that any target
            gets; at 5 some 99 % of the tokens are active. Defaults to 5.0.
        gain (float): How fast the biases make good what the rate is off, in [0, 1];
            0 leaves that to the rate loss. Defaults to 0.1.

    Raises:
        ValueError: If ``begin`` or ``end`` is outside (0, 1], ``gain`` outside
            [0, 1], or ``bias`` not positive and finite.
    """

    def __init__(
        self, begin: float = 1.0, end: float = 0.75, bias: float = 5.0, gain: float = 0.1
    ) -> None:
        check_number("custom_hooks RateScheduleHook.begin", begin, "(0, 1]")
        check_number("custom_hooks RateScheduleHook.end", end, "(0, 1]")
        check_number("custom_hooks RateScheduleHook.bias", bias, "(0, inf)")
        check_number("custom_hooks RateScheduleHook.gain", gain, "[0, 1]")
        self.begin = begin
        self.end = end
        self.bias = bias
        self.gain = gain

    def before_train(self, runner) -> None:
        """Open the dispatchers, those of ``load_from`` too, unless the run is resumed.

        Raises:
            ValueError: If the model has no dispatcher that trains, or the run two
                such hooks.
        """
        if sum(isinstance(hook, RateScheduleHook) for hook in runner.hooks) > 1:
            raise ValueError(
                "custom_hooks has two RateScheduleHooks, which would both move the biases: change "
                "the one of the base, as custom_hooks.N.end=0.5, instead of adding another"
            )
        self.dispatchers = _learned(runner.model)
        if not self.dispatchers:
            raise ValueError(
                f"custom_hooks has a RateScheduleHook, but {type(runner.model).__name__} has no "
                "learned dispatcher: remove the hook, or set model.backbone.dispatch, a "
                "dispatcher such as mmdyt.TokenDispatcher, and a model.tuning that trains it"
            )
        self.goal = _unwrapped(runner.model).objective.target_rate
        if runner.iter == 0:
            with torch.no_grad():
                for dispatcher in self.dispatchers:
                    opening = self._opening(self._target(runner, 0))
                    dispatcher.proj.bias.fill_(opening + logit(dispatcher.threshold))

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Set and log the target of this iteration, and move the biases with it."""
        target = self._target(runner, runner.iter)
        model = _unwrapped(runner.model)
        model.objective = replace(model.objective, target_rate=target)
        runner.message_hub.update_scalar("train/target_rate", target)
        before = self._target(runner, max(runner.iter - 1, 0))
        self._move(self._opening(target) - self._opening(before))

    def after_train_iter(
        self, runner, batch_idx: int, data_batch=None, outputs: dict | None = None
    ) -> None:
        """Move the biases where the rate of this iteration, over all processes, is off."""
        assert outputs is not None
        rate = outputs["activation_rate"].detach().clone()
        all_reduce(rate, op="mean")
        target = _unwrapped(runner.model).objective.target_rate
        self._move(self.gain * (self._opening(target) - self._opening(float(rate))))

    @torch.no_grad()
    def _move(self, step: float) -> None:
        for dispatcher in self.dispatchers:
            dispatcher.proj.bias.add_(step)

    def _target(self, runner, iteration: int) -> float:
        progress = min(iteration / max(self.end * runner.max_iters, 1), 1)
        return self.begin + (self.goal - self.begin) * progress

    def _opening(self, rate: float) -> float:
        """The bias of a rate, from ``-bias`` to ``bias``."""
        if not 0 < rate < 1:
            return self.bias if rate else -self.bias
        return max(-self.bias, min(logit(rate), self.bias))


def _unwrapped(model: nn.Module) -> Any:
    return model.module if is_model_wrapper(model) else model


def _learned(model: nn.Module) -> list[TokenDispatcher]:
    """The dispatchers of a model that learn a logit for every token, and train."""
    dispatchers = [d for layer in dispatched_layers(model) for d in layer.dispatcher.values()]
    learned = [each for each in dispatchers if isinstance(each, TokenDispatcher)]
    return [each for each in learned if each.proj.bias.requires_grad]
