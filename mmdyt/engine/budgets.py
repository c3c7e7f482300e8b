"""Measure tables of budgets with a runner."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from typing import Any

from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.runner import Runner
from torch import nn

from mmdyt.engine.hooks import DispatchStatsHook
from mmdyt.engine.run_checks import check_head_width, check_run
from mmdyt.evaluation.budgets import calibrate
from mmdyt.models.backbones import DyTViT
from mmdyt.models.dispatchers import SampleDispatcher
from mmdyt.models.utils import dispatched_layers, set_capacity, set_shift
from mmdyt.models.utils.budget_table import own_fingerprint


def evaluation_runner(
    cfg: Config, checkpoint: str | None, work_dir: str, part: str = "test"
) -> Runner:
    """Build a runner whose ``test_loop.run()`` measures the config's model.

    Args:
        cfg: A config; it is changed.
        checkpoint: A file that belongs to it, or ``None`` for the weights that the
            runner trained or will be given.
        work_dir: Where it may write its logs.
        part: On whose dataloader and evaluator, ``'test'`` or ``'val'``. Defaults to
            ``'test'``.

    Returns:
        The runner, with the checkpoint loaded.

    Raises:
        ValueError: If the config cannot be tested, or has no images to test on.
    """
    cfg.work_dir, cfg.load_from, cfg.resume, cfg.log_level = work_dir, checkpoint, False, "ERROR"
    cfg.experiment_name = uuid.uuid4().hex  # mmengine's own has seconds, and runners take less
    for name in ("dataloader", "evaluator"):
        if cfg.get(f"{part}_{name}") is None:
            raise ValueError(f"{cfg.filename} has no {part}_{name}, to measure budgets on")
        cfg[f"test_{name}"] = cfg[f"{part}_{name}"]
    check_run(cfg, "test")
    runner = Runner.from_cfg(cfg)
    drop_ema(runner)
    check_head_width(runner.model, cfg)
    try:
        images = len(runner.test_dataloader.dataset)
    except ValueError as error:  # mmengine joins the bytes of no samples
        if "concatenate" not in str(error):
            raise
        images = 0
    if not images:
        raise ValueError(f"{part}_dataloader.dataset is empty: there is nothing to measure on")
    if not any(isinstance(hook, DispatchStatsHook) for hook in runner.hooks):
        runner.register_hook(DispatchStatsHook())
    runner.load_or_resume()
    runner.call_hook("before_run")
    return runner


def drop_ema(runner: Runner) -> None:
    """Leave out mmengine's ``EMAHook``, which a test does not need: checkpoints hold the average.

    It would look, before a run begins, for what only its own start creates.
    """
    runner.hooks[:] = [hook for hook in runner.hooks if not isinstance(hook, EMAHook)]


def measure(runner: Runner, metric: str | None = None) -> dict[str, Any]:
    """Test a runner's model as its dispatchers are set now.

    Args:
        runner: A runner whose hooks include ``DispatchStatsHook``.
        metric: Name of the metric that counts. Defaults to ``None``: the first
            one that the evaluator gives.

    Returns:
        ``metric`` (its name), ``accuracy`` (its value), ``rate``, ``gflops`` and,
        by dispatcher, ``rates``; no rates without dispatchers.

    Raises:
        ValueError: If the evaluator gives no such metric.
    """
    values: dict[str, float] = runner.test_loop.run()
    own = [name for name in values if "dispatch/" not in name and "time" not in name]
    if not own:
        raise ValueError("the evaluator gives no metric to compare budgets by")
    metric = metric or own[0]
    if metric not in own:
        raise ValueError(f"the evaluator gives no metric {metric!r}, but {own}")
    rates = {
        name.replace("dispatch/", "").replace("rate_", ""): value
        for name, value in values.items()
        if name.startswith("dispatch/") and "rate_" in name
    }
    return dict(
        metric=metric,
        accuracy=float(values[metric]),
        rate=values.get("dispatch/activation_rate"),
        gflops=values["dispatch/gflops"],
        rates=rates,
    )


def measure_budgets(
    runner: Runner,
    num_points: int,
    metric: str | None = None,
    tell: Callable[[int], object] = lambda done: None,
) -> dict[str, Any]:
    """Measure a table of budgets; the model is left as it was trained.

    Args:
        runner: As :func:`measure`.
        num_points: How many budgets, at least 2.
        metric: As :func:`measure`. Defaults to ``None``.
        tell: Called with the number of budgets that are measured, after each test
            of the model. Defaults to nothing.

    Returns:
        The content of ``budgets.json``: ``metric``, ``images`` (their number),
        ``weights`` (by what dispatchers and head are known again), ``trained`` (the
        point of shift 0) and ``points`` by ascending shift. A point has ``shift``,
        ``rate``, ``gflops``, ``accuracy``, ``rates`` by dispatcher, and in
        ``capacity`` what :func:`mmdyt.models.utils.set_capacity` makes of these
        rates, unless dispatchers decide on whole samples: ``gflops`` and
        ``accuracy``.

    Raises:
        ValueError: As :func:`mmdyt.models.utils.set_shift`, :func:`measure` and
            :func:`mmdyt.evaluation.budgets.calibrate`.
    """
    model = runner.model
    weights = own_fingerprint(model)

    def shifted(shift: float) -> dict[str, Any]:
        set_shift(model, shift)
        return dict(shift=shift) | measure(runner, metric)

    trained = shifted(0.0)
    points = calibrate(shifted, num_points, tell)
    whole_samples = any(isinstance(module, SampleDispatcher) for module in model.modules())
    for point in () if whole_samples else (trained, *points):
        set_capacity(model, point["rates"])
        static = measure(runner, metric)
        point["capacity"] = {key: static[key] for key in ("gflops", "accuracy")}
        tell(len(points))
    set_shift(model, 0.0)
    names = [point.pop("metric") for point in (trained, *points)]
    return dict(
        metric=names[0],
        images=len(runner.test_dataloader.dataset),
        weights=weights,
        trained=trained,
        points=points,
    )


def merge_counts(model: nn.Module, steps: int = 5) -> list[int]:
    """Numbers of tokens that ToMe can merge in each layer of a ViT, evenly spaced from 0.

    Args:
        model: A model whose ``backbone`` is a ``DyTViT``.
        steps: How many beside 0, at most. Defaults to 5.

    Raises:
        ValueError: If it has another backbone, or dispatches tokens.
    """
    backbone: Any = model.get_submodule("backbone")
    if type(backbone) is not DyTViT:
        raise ValueError(
            f"model.backbone.type: tokens merge in a plain mmdyt.DyTViT, not in a "
            f"{type(backbone).__name__}"
        )
    if any(layer.dispatcher for layer in dispatched_layers(backbone)):
        raise ValueError(
            "model.backbone.dispatch: merged tokens are to be compared with dispatch, this model "
            "has it: give one without, such as AdaptFormer"
        )
    rows, columns = backbone.patch_resolution
    most = (rows * columns - 1) // backbone.num_layers
    return sorted({round(most * step / steps) for step in range(steps + 1)})


def measure_merged(
    cfg: Config,
    model: nn.Module,
    r: int,
    work_dir: str,
    metric: str | None = None,
    part: str = "test",
) -> dict[str, Any]:
    """Test a model with ``r`` tokens merged in each layer, without training it so.

    Args:
        cfg: The config that the model was built from, with a ``DyTViT`` without
            dispatch; it is left alone.
        model: The model.
        r: As ``mmdyt.ToMeViT``.
        work_dir: Where logs may go.
        metric: As :func:`measure`. Defaults to ``None``.
        part: As :func:`evaluation_runner`. Defaults to ``'test'``.

    Returns:
        As :func:`measure`, with ``r``.
    """
    cfg = merged_config(cfg, r)
    runner = evaluation_runner(cfg, None, work_dir, part)
    # A plain dict: the weights are meant for a backbone of another config.
    runner.model.load_state_dict(dict(model.state_dict()))
    return dict(r=r) | measure(runner, metric)


def merged_config(cfg: Config, r: int) -> Config:
    """Copy a config and let its ``DyTViT`` merge ``r`` tokens in each layer."""
    cfg = copy.deepcopy(cfg)
    cfg.model.backbone.update(type="mmdyt.ToMeViT", r=r)
    return cfg
