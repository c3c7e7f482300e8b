"""Pictures of predicted videos: some frames, the class and what was said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
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

    def after_test_iter(self, runner: Any, batch_idx: int, data_batch: dict, outputs: list) -> None:
        """Draw the samples of a batch."""
        loader, model = runner.test_dataloader, runner.model
        while is_model_wrapper(model):
            model = model.module
        classes = loader.dataset.metainfo.get("classes")
        for place, (clip, sample) in enumerate(zip(data_batch["inputs"], outputs)):
            index = (batch_idx * loader.batch_size + place) * runner.world_size + runner.rank
            frames: Tensor = clip[:NUM_FRAMES].permute(0, 2, 3, 1)  # (T, 3, H, W) -> (T, H, W, 3)
            truth, said = (int(label) for label in (sample.gt_label, sample.pred_label))
            names = [str(label) if classes is None else classes[label] for label in (truth, said)]
            figure = draw_strip(frames.cpu().numpy(), {}, f"is {names[0]}, said {names[1]}")
            stem = Path(sample.get("filename", "clip")).stem
            with atomic_path(self.out_dir / f"{index:05d}_{stem}.png") as path:
                figure.savefig(path, dpi=100)
