"""The temperature follows the progress, through a resume too."""

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.structures import DataSample
from torch.utils.data import Dataset

from mmdyt.engine.hooks import TauScheduleHook
from tests.conftest import tiny_classifier


class Images(Dataset):
    """Four random images."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict:
        image = torch.randint(256, (3, 28, 28), dtype=torch.uint8)
        return dict(inputs=image, data_samples=DataSample().set_gt_label(index))


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


def run(work_dir, max_epochs=3, resume=False, model=None, **hook) -> list[float]:
    """Train for ``max_epochs`` epochs of two iterations on a plan of three."""
    taus = Taus()
    runner = Runner(
        model=model or tiny_classifier(),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            dataset=Images(),
            sampler=dict(type="DefaultSampler", shuffle=False),
            collate_fn=dict(type="default_collate"),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=3),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.01)),
        custom_hooks=[dict(type="mmdyt.TauScheduleHook", **hook), taus, StopAfter(max_epochs)],
        default_hooks=dict(checkpoint=dict(type="CheckpointHook", interval=1)),
        log_level="ERROR",
        resume=resume,
        experiment_name=f"tau-{work_dir.name}-{max_epochs}-{resume}-{len(hook)}",
        default_scope="mmpretrain",
    )
    try:
        runner.train()
    except KeyboardInterrupt:
        assert runner.epoch == max_epochs
    return taus.taus


class StopAfter(Hook):
    """Kills the run after some epochs, once the checkpoint is written."""

    priority = "LOWEST"

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def before_train_epoch(self, runner) -> None:
        if runner.epoch == self.epochs:
            raise KeyboardInterrupt


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
