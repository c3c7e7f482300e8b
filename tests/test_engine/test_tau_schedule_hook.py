"""The temperature follows the progress, through a resume too."""

import pytest
from mmengine.hooks import Hook

from mmdyt.engine.hooks import TauScheduleHook
from tests.conftest import tiny_classifier
from tests.test_engine.short_runs import short_run


class Taus(Hook):
    """Writes down every iteration's temperature, as set and as logged."""

    def __init__(self) -> None:
        self.taus: list[float] = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        layers = runner.model.backbone.layers
        assert len({layer.dispatcher["mlp"].tau for layer in layers}) == 1
        self.taus.append(layers[0].dispatcher["mlp"].tau)
        logged = runner.message_hub.get_scalar("train/tau").current()
        assert logged == pytest.approx(self.taus[-1])


def run(work_dir, **kwargs) -> list[float]:
    """The temperatures of a short run."""
    taus = Taus()
    short_run(work_dir, [dict(type="mmdyt.TauScheduleHook"), taus], **kwargs)
    return taus.taus


def test_tau_goes_from_begin_to_end_and_resumes(tmp_path):
    whole = run(tmp_path / "whole")
    assert whole == pytest.approx([5.0, 4.02, 3.04, 2.06, 1.08, 0.1])
    first = run(tmp_path / "killed", max_epochs=1)
    rest = run(tmp_path / "killed", resume=True)
    assert first + rest == pytest.approx(whole)


def test_a_model_without_a_temperature_is_refused_before_training(tmp_path):
    random = tiny_classifier(backbone=dict(dispatcher=dict(type="mmdyt.RandomDispatcher")))
    with pytest.raises(ValueError, match=r"no dispatcher .* has a temperature"):
        run(tmp_path, model=random)


@pytest.mark.parametrize("name", ["begin", "end"])
def test_a_temperature_must_be_positive(name):
    with pytest.raises(ValueError, match=rf"TauScheduleHook.{name} .* got 0"):
        TauScheduleHook(**{name: 0})
