"""Activation rates and GFLOPs of validation and test, as metrics."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack

import mmengine.dist as dist
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import Tensor

from mmdyt.evaluation import CostAccount, flops_of, observe_passes
from mmdyt.models.utils import dispatched_layers
from mmdyt.registry import HOOKS


@HOOKS.register_module()
class DispatchStatsHook(Hook):
    """Add what the dispatchers did to the metrics of an evaluation.

    The metrics are ``dispatch/activation_rate`` (mean over dispatchers, images
    and tokens), ``dispatch/rate_<layer>_<branch>`` and ``dispatch/gflops`` (mean
    over samples, what was executed for the real masks). Where attention ran at
    the full length, as on GPUs, ``dispatch/gflops_unpadded`` says what attention
    among the active tokens alone would have taken. They go where the others go:
    to the terminal, to every visualiser backend, to ``save_best``. All passes
    count: windows of slide inference, views of a video, images of several
    sizes. A model without dispatchers has ``dispatch/gflops`` only. In a model
    with several dispatched backbones the name of the layer stands before
    ``rate_``, as in ``dispatch/teacher.layers.3/rate_03_mlp``.

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
        self._open.close()
        model = runner.model
        while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
            model = model.module
        if self._account is None or self._account.model is not model:
            self._account = CostAccount(model)
        indices = [layer.layer_index for layer in dispatched_layers(model)]
        self._several = len(set(indices)) < len(indices)
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, float] = defaultdict(float)

    def _collect(self) -> None:
        assert self._account is not None
        self._open.close()
        self._passes = self._open.enter_context(observe_passes(self._account.model))

    def _add_up(self) -> None:
        assert self._account is not None
        self._open.close()
        records = [record for one in self._passes for record in one.records]
        for record in records:
            name = f"rate_{record.layer:02d}_{record.branch}"
            if self._several:
                name = f"{record.module}/{name}"
            self._add(f"dispatch/{name}", record.rate())
        for flops in flops_of(self._account, self._passes):
            self._add("dispatch/gflops", flops / 1e9)
        if any(record.padded for record in records):
            for flops in flops_of(self._account, self._passes, padding=False):
                self._add("dispatch/gflops_unpadded", flops / 1e9)

    def _add(self, name: str, values: Tensor) -> None:
        self._sums[name] += float(values.sum())
        self._counts[name] += len(values)

    def _report(self, metrics: dict[str, float] | None) -> None:
        self._open.close()
        if metrics is None or not self._counts:
            return
        names = sorted(self._counts)
        totals = torch.tensor(
            [[self._sums[name], self._counts[name]] for name in names], dtype=torch.float64
        )
        dist.all_reduce(totals)
        means = {name: float(total / count) for name, (total, count) in zip(names, totals)}
        rates = [value for name, value in means.items() if "rate_" in name]
        if rates:
            metrics["dispatch/activation_rate"] = sum(rates) / len(rates)
        metrics.update(means)
