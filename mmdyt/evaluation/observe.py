"""What a model's backbone saw and decided while something ran."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import Tensor, nn

from mmdyt.evaluation.flops import CostAccount
from mmdyt.models.utils import collect_dispatch, dispatched_layers
from mmdyt.structures import DispatchRecord


@dataclass
class BackbonePass:
    """One pass of the backbone.

    Args:
        images: What it saw, ``(B, 3, H, W)``: images, frames or windows.
        records: What its dispatchers decided.
    """

    images: Tensor
    records: list[DispatchRecord] = field(default_factory=list)


@contextmanager
def observe_passes(model: nn.Module) -> Iterator[list[BackbonePass]]:
    """Collect inputs and decisions of every pass of a model's backbone.

    Slide inference runs it once a window, test-time augmentation once a view.

    Args:
        model: A model without a parallel wrapper.

    Yields:
        A list that is filled when the context ends.
    """
    passes: list[BackbonePass] = []
    starts: list[int] = []

    def begin(_module: nn.Module, args: tuple, kwargs: dict) -> None:
        passes.append(BackbonePass(next(iter((*args, *kwargs.values())))))
        starts.append(len(records))

    with collect_dispatch(model) as records:
        handle = _backbone(model).register_forward_pre_hook(begin, with_kwargs=True)
        try:
            yield passes
        finally:
            handle.remove()
            for one, start, end in zip(passes, starts, [*starts[1:], len(records)]):
                one.records = records[start:end]


def flops_of(
    account: CostAccount, passes: list[BackbonePass], padding: bool = True
) -> list[Tensor]:
    """Count what passes computed, those of one shape together: a sample may have several.

    Args:
        account: The account of the model that was observed.
        passes: A result of :func:`observe_passes`.
        padding: As :meth:`CostAccount.flops`. Defaults to ``True``.

    Returns:
        FLOPs by sample, ``(S,)``, for each shape of the images.
    """
    groups: dict[tuple, BackbonePass] = {}
    for one in passes:
        group = groups.setdefault(tuple(one.images.shape[1:]), BackbonePass(one.images))
        group.records.extend(one.records)
    # A model whose sample is several images says how to make one of them.
    sample = getattr(account.model, "cost_sample", lambda images: images)
    return [account.flops(one.records, sample(one.images), padding) for one in groups.values()]


def _backbone(model: nn.Module) -> nn.Module:
    """The part whose passes hold all dispatched layers."""
    backbone = getattr(model, "backbone", model)
    assert isinstance(backbone, nn.Module)
    whole = len(dispatched_layers(backbone)) == len(dispatched_layers(model))
    return backbone if whole else model
