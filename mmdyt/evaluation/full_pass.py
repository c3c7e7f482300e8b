"""The count of one forward pass that computes every token, from its trace."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from mmengine.analysis import FlopAnalyzer
from torch import Tensor, nn

from mmdyt.models.utils import collect_dispatch, dispatch_mode, hide_pass
from mmdyt.structures import DispatchRecord


@dataclass(frozen=True)
class FullPass:
    """One forward pass that computed every token.

    Args:
        flops: FLOPs of one sample.
        by_module: FLOPs by dotted name of every submodule.
        records: What the dispatched layers recorded meanwhile: which
            dispatchers there are, on how many images and tokens they decide.
    """

    flops: float
    by_module: dict[str, float]
    records: list[DispatchRecord]


class _WholeForward(nn.Module):
    """Run a model up to its head, which mmaction2 does on request only.

    A model whose plain forward pass is not what a prediction computes has a
    method ``cost_forward(inputs)``.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.stage = {"stage": "head"} if hasattr(model, "cls_head") else {}

    def forward(self, inputs: Tensor) -> Any:
        own = getattr(self.model, "cost_forward", None)
        return self.model(inputs, **self.stage) if own is None else own(inputs)


def count_full_pass(model: nn.Module, inputs: Tensor, mode: str) -> FullPass:
    """Trace one pass in evaluation mode and count it; the model stays as it was.

    Args:
        model: A model, with or without dispatched layers.
        inputs: A batch of one sample, ``(1, ...)``.
        mode: How dispatched layers run, see :func:`mmdyt.models.utils.dispatch_mode`.

    Returns:
        The count.
    """
    training = {module: module.training for module in model.modules()}
    model.eval()
    # A random dispatcher must not draw other numbers because it was counted.
    devices = [inputs.device] if inputs.is_cuda else []
    try:
        with (
            torch.no_grad(),
            torch.random.fork_rng(devices),
            dispatch_mode(model, mode),
            hide_pass(model, from_all=True),
            collect_dispatch(model) as records,
        ):
            analyzer = flop_analyzer(_WholeForward(model), inputs)
            by_module = analyzer.by_module()
    finally:
        for module, flag in training.items():
            module.training = flag
    by_name = {name.removeprefix("model."): float(flops) for name, flops in by_module.items()}
    return FullPass(float(by_module[""]), by_name, records)


def flop_analyzer(model: nn.Module, inputs: Tensor) -> FlopAnalyzer:
    """Build mmengine's analyser with the operators it lacks, and without its noise.

    Args:
        model: Any module that takes one tensor.
        inputs: That tensor.

    Returns:
        The analyser; the count starts when it is asked for one.
    """
    analyzer = FlopAnalyzer(model, inputs)
    analyzer.set_op_handle(
        "aten::scaled_dot_product_attention",
        _count_attention,
        "aten::baddbmm",
        _count_baddbmm,
        "aten::cdist",
        _count_cdist,
    )
    return (
        analyzer.unsupported_ops_warnings(False)
        .uncalled_modules_warnings(False)
        .tracer_warnings("none")
    )


def _shape(value: Any) -> list[int]:
    return value.type().sizes()


def _count_attention(inputs: list[Any], outputs: list[Any]) -> int:
    query, key, value = (_shape(tensor) for tensor in inputs[:3])
    return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _count_baddbmm(inputs: list[Any], outputs: list[Any]) -> int:
    return prod(_shape(inputs[1])) * _shape(inputs[2])[-1]


def _count_cdist(inputs: list[Any], outputs: list[Any]) -> int:
    return prod(_shape(inputs[0])) * _shape(inputs[1])[-2]
