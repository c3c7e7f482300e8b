"""Pictures of predicted videos: some frames, the class and what was said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from torch import Tensor

from mmdyt.fileio import atomic_path
from mmdyt.registry import HOOKS
from mmdyt.visualization.video_strip import draw_strip

NUM_FRAMES = 8


@HOOKS.register_module()
class ClipVisualizationHook(Hook):
    """Draw the first frames of every tested video in a row.

    mmaction2's own hook takes frames in another layout than the recognizers of
    images here.

    Args:
        out_dir: Folder of the pictures, ``<number>_<name of the file>.png``.
    """

    def __init__(self, out_dir: str) -> None:
        self.out_dir = Path(out_dir)
        self.seen = 0

    def before_test_epoch(self, runner: Any) -> None:
        """Count from 0."""
        self.seen = 0

    def after_test_iter(self, runner: Any, batch_idx: int, data_batch: dict, outputs: list) -> None:
        """Draw the samples of a batch."""
        dataset = runner.test_dataloader.dataset
        classes = dataset.metainfo.get("classes")
        for clip, sample in zip(data_batch["inputs"], outputs):
            index = self.seen * runner.world_size + runner.rank
            self.seen += 1
            frames: Tensor = clip[:NUM_FRAMES].permute(0, 2, 3, 1)  # (T, 3, H, W) -> (T, H, W, 3)
            names = [_names(label, classes) for label in (sample.gt_label, sample.pred_label)]
            figure = draw_strip(frames.cpu().numpy(), {}, f"is {names[0]}, said {names[1]}")
            stem = Path(dataset.get_data_info(index).get("filename", "clip")).stem
            with atomic_path(self.out_dir / f"{index:05d}_{stem}.png") as path:
                figure.savefig(path, dpi=100)


def _names(label: Tensor, classes: list[str] | None) -> str:
    """Name one label, or those that are set in ``(K,)``."""
    numbers = label.flatten().tolist()
    if len(numbers) > 1:
        numbers = [number for number, is_set in enumerate(numbers) if is_set]
    return ", ".join(str(number) if classes is None else classes[number] for number in numbers)
