"""Trainings of a few iterations, to the end or killed on the way."""

from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.structures import DataSample
from torch.utils.data import Dataset

from tests.conftest import tiny_classifier


class Images(Dataset):
    """Four random images."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict:
        image = torch.randint(256, (3, 28, 28), dtype=torch.uint8)
        return dict(inputs=image, data_samples=DataSample().set_gt_label(index))


class StopAfter(Hook):
    """Kills the run after some epochs, once the checkpoint is written."""

    priority = "LOWEST"

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def before_train_epoch(self, runner) -> None:
        if runner.epoch == self.epochs:
            raise KeyboardInterrupt


def short_run(
    work_dir: Path, hooks: list, max_epochs: int = 3, resume: bool = False, model: Any = None
) -> Any:
    """Train for ``max_epochs`` epochs of two iterations on a plan of three; returns the model."""
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
        custom_hooks=[*hooks, StopAfter(max_epochs)],
        default_hooks=dict(checkpoint=dict(type="CheckpointHook", interval=1)),
        log_level="ERROR",
        resume=resume,
        experiment_name=f"{work_dir}-{max_epochs}-{resume}-{len(str(hooks))}",
        default_scope="mmpretrain",
    )
    try:
        runner.train()
    except KeyboardInterrupt:
        assert runner.epoch == max_epochs
    return runner.model
