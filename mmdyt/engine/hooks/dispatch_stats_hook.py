"""Activation rates and GFLOPs of validation and test, as metrics."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack

import mmengine.dist as dist
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import Tensor, nn

from mmdyt.evaluation import CostAccount
from mmdyt.models.utils import collect_dispatch
from mmdyt.registry import HOOKS
from mmdyt.structures import DispatchRecord


@HOOKS.register_module()
class DispatchStatsHook(Hook):
    """Add what the dispatchers did to the metrics of an evaluation.

    The metrics are ``dispatch/activation_rate`` (mean over dispatchers, images
    and tokens), ``dispatch/rate_<layer>_<branch>`` and ``dispatch/gflops`` (mean
    over samples, from the real masks). They go where the others go: to the
    terminal, to every visualiser backend, to ``save_best``. All passes count:
    windows of slide inference, views of a video. A model without dispatchers
    has ``dispatch/gflops`` only.

    With several processes the few images that the sampler repeats to fill up
    the last batches count twice.
    """

    # Before RuntimeInfoHook, which hands the metrics to the loggers.
    priority = "HIGHEST"

    def __init__(self) -> None:
        self._account: CostAccount | None = None
        self._open = ExitStack()

    def before_val_epoch(self, runner) -> None:
        """Start counting."""
        self._start(runner)

    def before_test_epoch(self, runner) -> None:
        """Start counting."""
        self._start(runner)

    def before_val_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Collect what the next forward passes decide."""
        self._collect()

    def before_test_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Collect what the next forward passes decide."""
        self._collect()

    def after_val_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Add up a batch."""
        self._add_up()

    def after_test_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Add up a batch."""
        self._add_up()

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Put the means into the metrics."""
        self._report(metrics)

    def after_test_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Put the means into the metrics."""
        self._report(metrics)

    def _start(self, runner) -> None:
        model = runner.model
        while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
            model = model.module
        if self._account is None or self._account.model is not model:
            self._account = CostAccount(model)
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, float] = defaultdict(float)

    def _collect(self) -> None:
        assert self._account is not None
        self._open.close()
        model = self._account.model
        self._records: list[DispatchRecord] = self._open.enter_context(collect_dispatch(model))
        self._images: list[Tensor] = []
        handle = _backbone(model).register_forward_pre_hook(
            lambda _module, args: self._images.append(args[0])
        )
        self._open.callback(handle.remove)

    def _add_up(self) -> None:
        self._open.close()
        assert self._account is not None
        model = self._account.model
        for record in self._records:
            name = f"dispatch/rate_{record.layer:02d}_{record.branch}"
            rates = record.rate()
            self._sums[name] += float(rates.sum())
            self._counts[name] += len(rates)
        # A model whose sample is several images says how to make one of them.
        sample = getattr(model, "cost_sample", lambda images: images)(self._images[0])
        flops = self._account.flops(self._records, sample)
        self._sums["dispatch/gflops"] += float(flops.sum()) / 1e9
        self._counts["dispatch/gflops"] += len(flops)
        self._records, self._images = [], []

    def _report(self, metrics: dict[str, float] | None) -> None:
        if metrics is None or not self._counts:
            return
        names = sorted(self._counts)
        totals = torch.tensor(
            [[self._sums[name], self._counts[name]] for name in names], dtype=torch.float64
        )
        dist.all_reduce(totals)
        means = {name: float(total / count) for name, (total, count) in zip(names, totals)}
        rates = [value for name, value in means.items() if "/rate_" in name]
        if rates:
            metrics["dispatch/activation_rate"] = sum(rates) / len(rates)
        metrics.update(means)


def _backbone(model: nn.Module) -> nn.Module:
    backbone = getattr(model, "backbone", model)
    assert isinstance(backbone, nn.Module)
    return backbone
