"""Train one model for a range of activation rates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mmdyt.models.dispatchers import TokenDispatcher
from mmdyt.models.utils.dispatch_mode import dispatched_layers
from mmdyt.ops import logit


def follow_rates(model: nn.Module) -> None:
    """Let the dispatchers of a model be told a rate, see :class:`TokenDispatcher`.

    Args:
        model: Any model.

    Raises:
        ValueError: If one of its dispatchers is no ``TokenDispatcher``.
    """
    for layer in dispatched_layers(model):
        for dispatcher in layer.dispatcher.values():
            if not isinstance(dispatcher, TokenDispatcher):
                raise ValueError(
                    "a range of rates, model.dyt.target_rate=(low, high), needs "
                    "backbone.dispatcher.type='mmdyt.TokenDispatcher' or a class of it, not "
                    f"{type(dispatcher).__name__}"
                )
            dispatcher.follow_rates()


def logit_offset(rate: float, middle: float) -> float:
    """How far a rate lies from another one, in logits of at most 14."""
    low, high = 1e-6, 1 - 1e-6  # a schedule may begin at 1
    return logit(min(max(rate, low), high)) - logit(min(max(middle, low), high))


@contextmanager
def rate_offset(model: nn.Module, rate: float, middle: float) -> Iterator[None]:
    """Tell the dispatchers a rate inside the context, as its distance in logits from another.

    Args:
        model: A model whose dispatchers :func:`follow_rates`; others are left alone.
        rate: The rate, in (0, 1).
        middle: The rate at which the logits are as they are.
    """
    followers = [each for each in _token_dispatchers(model).values() if _follows(each)]
    try:
        for dispatcher in followers:
            dispatcher.offset = torch.tensor(logit_offset(rate, middle))
        yield
    finally:
        for dispatcher in followers:
            dispatcher.offset = torch.zeros(())


def settle_spreads(model: nn.Module, state_dict: dict[str, Tensor], prefix: str) -> None:
    """Load hook: let a training for a range begin at dispatchers of one rate.

    Args:
        model: The model.
        state_dict: What is loaded; spreads of 1 are added where it has dispatchers without.
        prefix: Of the model's names in it.

    Raises:
        ValueError: If it was trained for a range, and the model was not built for one.
    """
    for path, dispatcher in _token_dispatchers(model).items():
        spread, weight = f"{prefix}{path}.log_spread", f"{prefix}{path}.proj.weight"
        if _follows(dispatcher) and weight in state_dict:
            state_dict.setdefault(spread, torch.zeros_like(state_dict[weight][0, :1]))
        elif spread in state_dict and not _follows(dispatcher):
            raise ValueError(
                f"the checkpoint was trained for a range of rates ({spread}): set "
                "model.dyt.target_rate=(low, high), as its config does"
            )


def _follows(dispatcher: TokenDispatcher) -> bool:
    return dispatcher.log_spread is not None


def _token_dispatchers(model: nn.Module) -> dict[str, TokenDispatcher]:
    modules = model.named_modules()
    return {path: each for path, each in modules if isinstance(each, TokenDispatcher)}
