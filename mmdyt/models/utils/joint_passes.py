"""Run the complete and the dynamic model as one batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmdyt.models.utils.dispatch_mode import collect_dispatch, dispatch_mode, dispatched_layers
from mmdyt.structures import DispatchRecord


@contextmanager
def joint_backbone(backbone: nn.Module, records: list[DispatchRecord]) -> Iterator[None]:
    """Let two calls of a backbone in training share one pass.

    The first call runs the complete and the dynamic model and returns what the
    complete one gives; the second returns what the dynamic one gave. What is
    before the first decision is computed once, what is behind it as a batch of
    ``2 * B``. Stochastic parts of the host before the first decision draw once.

    Args:
        backbone: A backbone with dispatched layers whose outputs are tensors
            with one entry an image, in a tuple.
        records: Receives the decisions of the dynamic half.

    Raises:
        RuntimeError: If the context ends and the second call is missing.
    """
    layers = dispatched_layers(backbone)
    first = next(layer for layer in layers if len(layer.dispatcher))
    plain = backbone.forward
    waiting: list[tuple[Tensor, ...]] = []

    def forward(images: Tensor) -> tuple[Tensor, ...]:
        if waiting:
            return waiting.pop()
        with dispatch_mode(backbone, "joint"), collect_dispatch(backbone) as collected:
            outs = plain(images)
        records.extend(collected)
        # An output from before the first decision has B entries, which both share.
        waiting.append(tuple(out[-len(images) :] for out in outs))
        return tuple(out[: len(images)] for out in outs)

    first.doubles = next(name for name in first.variant.branches if name in first.dispatcher)
    backbone.forward = forward  # type: ignore[method-assign]
    try:
        yield
        if waiting:
            raise RuntimeError(
                "model.dyt.joint_passes=True needs a model whose loss runs the backbone once"
            )
    finally:
        del backbone.forward
        first.doubles = None


def refuse_batch_norm(backbone: nn.Module) -> None:
    """Refuse a backbone that would mix the statistics of the two passes.

    Raises:
        ValueError: If a batch norm is inside that trains.
    """
    for name, module in backbone.named_modules():
        if isinstance(module, _BatchNorm):
            raise ValueError(
                f"model.dyt.joint_passes=True needs a backbone without batch norms, got "
                f"{type(module).__name__} at backbone.{name}"
            )
