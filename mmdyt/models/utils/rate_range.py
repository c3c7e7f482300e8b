"""Train one model for a range of activation rates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from mmdyt.models.dispatchers import TokenDispatcher
from mmdyt.models.utils.dispatch_mode import dispatched_layers
from mmdyt.ops import logit


def follow_rates(model: nn.Module) -> None:
    """Let the dispatchers of a model be told a rate, see :class:`TokenDispatcher`.

    Raises:
        ValueError: If one of them cannot be told.
    """
    for layer in dispatched_layers(model):
        for dispatcher in layer.dispatcher.values():
            if not isinstance(dispatcher, TokenDispatcher):
                raise ValueError(
                    "a range of rates, model.dyt.target_rate=(low, high), needs dispatchers that "
                    "learn, backbone.dispatcher.type='mmdyt.TokenDispatcher', not "
                    f"{type(dispatcher).__name__}"
                )
            dispatcher.follow_rates()


@contextmanager
def rate_offset(model: nn.Module, rate: float, middle: float) -> Iterator[None]:
    """Tell the dispatchers a rate inside the context, as its distance in logits from another.

    Args:
        model: A model whose dispatchers :func:`follow_rates`; others are left alone.
        rate: The rate, in (0, 1).
        middle: The rate at which the logits are as they are.
    """
    followers = _followers(model) if rate != middle else []
    try:
        for dispatcher in followers:
            dispatcher.offset = torch.tensor(logit(rate) - logit(middle))
        yield
    finally:
        for dispatcher in followers:
            dispatcher.offset = torch.zeros(())


def _followers(model: nn.Module) -> list[TokenDispatcher]:
    parts = [each for layer in dispatched_layers(model) for each in layer.dispatcher.values()]
    return [
        each for each in parts if isinstance(each, TokenDispatcher) and each.log_spread is not None
    ]
