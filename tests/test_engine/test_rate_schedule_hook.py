"""Dispatchers start open and close to the target rate, through a resume too."""

import pytest
import torch
from mmengine.hooks import Hook

from mmdyt.engine.hooks import RateScheduleHook
from mmdyt.ops import logit
from tests.conftest import tiny_classifier
from tests.test_engine.short_runs import short_run


class Targets(Hook):
    """Writes down every iteration's target, as set and as logged, and its rate."""

    def __init__(self) -> None:
        self.targets: list[float] = []
        self.rates: list[float] = []
        self.biases: list[float] = []

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        self.biases.append(float(runner.model.backbone.layers[0].dispatcher["mlp"].proj.bias))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self.targets.append(runner.model.objective.target_rate)
        self.rates.append(float(outputs["activation_rate"]))
        logged = runner.message_hub.get_scalar("train/target_rate").current()
        assert logged == pytest.approx(self.targets[-1])


def test_two_schedules_are_refused(tmp_path):
    hook = dict(type="mmdyt.RateScheduleHook")
    with pytest.raises(ValueError, match=r"two RateScheduleHooks.*change the one of the base"):
        short_run(tmp_path, [hook, hook])


@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_dispatchers_open_over_their_threshold(tmp_path, threshold):
    dispatcher = dict(type="mmdyt.TokenDispatcher", threshold=threshold)
    model = tiny_classifier(dict(dispatcher=dispatcher))
    targets = Targets()
    short_run(tmp_path, [dict(type="mmdyt.RateScheduleHook"), targets], model=model)
    assert targets.biases[0] == pytest.approx(5 + logit(threshold))


def run(work_dir, hook=(), **kwargs) -> list[float]:
    """The targets of a short run."""
    targets = Targets()
    short_run(work_dir, [dict(type="mmdyt.RateScheduleHook", **dict(hook)), targets], **kwargs)
    return targets.targets


def test_the_target_falls_to_the_models_and_resumes(tmp_path):
    hook = dict(end=2 / 3)
    whole = run(tmp_path / "whole", hook)
    assert whole == pytest.approx([1.0, 0.875, 0.75, 0.625, 0.5, 0.5])
    first = run(tmp_path / "killed", hook, max_epochs=1)
    rest = run(tmp_path / "killed", hook, resume=True)
    assert first + rest == pytest.approx(whole)


def test_biases_follow_the_target_through_a_resume_too(tmp_path):
    """Training moves them by less than 0.05 here."""
    seen = Targets()
    for resume in (False, True):
        hooks = [dict(type="mmdyt.RateScheduleHook", end=2 / 3, bias=3.0, gain=0.0), seen]
        short_run(tmp_path, hooks, max_epochs=3 if resume else 1, resume=resume)
    expected = [3.0, *(logit(rate) for rate in (0.875, 0.75, 0.625, 0.5, 0.5))]
    assert seen.biases == pytest.approx(expected, abs=0.05)


def test_biases_make_good_what_the_rate_is_off(tmp_path):
    """Here training moves a bias by less than 0.05 from one step to the next."""
    seen = Targets()
    hook = dict(type="mmdyt.RateScheduleHook", begin=0.5, bias=2.0, gain=0.5)
    short_run(tmp_path, [hook, seen])
    assert any(rate != 0.5 for rate in seen.rates)
    steps = [after - before for before, after in zip(seen.biases, seen.biases[1:])]
    held = [max(-2.0, min(logit(min(max(r, 1e-6), 1 - 1e-6)), 2.0)) for r in seen.rates]
    assert steps == pytest.approx([-0.5 * each for each in held[:-1]], abs=0.05)


class Shut(Hook):
    """Closes all dispatchers at the end of an epoch, before the checkpoint is written."""

    def after_train_epoch(self, runner) -> None:
        for layer in runner.model.backbone.layers:
            torch.nn.init.constant_(layer.dispatcher["mlp"].proj.bias, -1e4)


def test_dispatchers_start_open_and_a_resume_leaves_them(tmp_path):
    bias = 1e4  # far beyond the logits of images that are not normalised
    hooks = [dict(type="mmdyt.RateScheduleHook", bias=bias, gain=0.0), Shut()]
    first, resumed = Targets(), Targets()
    short_run(tmp_path, [*hooks, first], max_epochs=1)
    short_run(tmp_path, [*hooks, resumed], resume=True)
    assert first.rates[0] == 1
    assert resumed.rates == [0, 0, 0, 0]


def test_a_model_without_learned_dispatchers_is_refused_before_training(tmp_path):
    random = tiny_classifier(backbone=dict(dispatcher=dict(type="mmdyt.RandomDispatcher")))
    with pytest.raises(ValueError, match=r"RateScheduleHook, but .* no learned dispatcher"):
        run(tmp_path, model=random)


@pytest.mark.parametrize(
    "name, value", [("begin", 0), ("end", 1.5), ("bias", float("nan")), ("gain", 2)]
)
def test_bad_values_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"RateScheduleHook.{name} must be a number in"):
        RateScheduleHook(**{name: value})
