"""Cool the dispatchers down while they train."""

from __future__ import annotations

from mmengine.hooks import Hook
from torch import nn

from mmdyt.models.utils import dispatched_layers
from mmdyt.registry import HOOKS


@HOOKS.register_module()
class TauScheduleHook(Hook):
    """Move the temperature of the Gumbel-sigmoid linearly from begin to end.

    Paper table 9 compares a constant 5 with a schedule from 5 to 0.1. The
    temperature depends on the progress alone, so that a resumed run goes on
    with the temperature of an uninterrupted one. It is logged as ``tau``.

    Args:
        begin (float): Temperature of the first iteration. Defaults to 5.0.
        end (float): Temperature of the last step. Defaults to 0.1.

    Raises:
        ValueError: If ``begin`` or ``end`` is not positive.
    """

    def __init__(self, begin: float = 5.0, end: float = 0.1) -> None:
        for name, value in (("begin", begin), ("end", end)):
            if not value > 0:
                raise ValueError(
                    f"custom_hooks TauScheduleHook.{name} must be greater than 0, got {value}"
                )
        self.begin = begin
        self.end = end

    def before_train(self, runner) -> None:
        """Look for something to schedule.

        Raises:
            ValueError: If no dispatcher of the model has a temperature.
        """
        if not _tempered(runner.model):
            raise ValueError(
                f"custom_hooks has a TauScheduleHook, but no dispatcher of "
                f"{type(runner.model).__name__} has a temperature `tau`: remove the hook, or set "
                "model.backbone.dispatch and a dispatcher such as mmdyt.TokenDispatcher"
            )

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Set and log the temperature of this iteration."""
        progress = runner.iter / max(runner.max_iters - 1, 1)
        tau = self.begin + (self.end - self.begin) * progress
        for dispatcher in _tempered(runner.model):
            dispatcher.tau = tau
        runner.message_hub.update_scalar("train/tau", tau)


def _tempered(model: nn.Module) -> list[nn.Module]:
    """The dispatchers of a model that have a temperature."""
    dispatchers = [d for layer in dispatched_layers(model) for d in layer.dispatcher.values()]
    return [dispatcher for dispatcher in dispatchers if hasattr(dispatcher, "tau")]
