"""Teach a frozen image ViT eight motions with DyT, from real MP4 files, and compare.

Real digits move; the class is the motion, and no scan is in both splits. Results
and pictures go to the work dir; a second run reuses what is there. Nothing is
downloaded.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure

from mmdyt.datasets.video_motion import MOTIONS, write_motion_videos
from mmdyt.engine.comparison import (
    Result,
    compare,
    keep_comparison,
    print_comparison,
    throughput,
)
from mmdyt.models.utils import collect_dispatch
from mmdyt.visualization import draw_curves, draw_rate_bars, read_scalars
from mmdyt.visualization.video_strip import draw_video_strip

METHODS = {"Frozen, head only": "linear", "DyT (r = 0.5)": "dyt"}
CONFIGS = "configs/video/demo/{}_vit-mini_motion.py"
TITLE = "Fashion-MNIST image ViT tuned on 320 clips of 8 motions, tested on 160"


def draw(results: dict[str, Result]) -> dict[str, Figure]:
    """Draw a strip a motion, activation rates and curves."""
    dyt = results["DyT (r = 0.5)"]
    names = list(MOTIONS)
    curves = {"task_loss": "training loss of the task", "acc/top1": "test accuracy"}
    logs = {name: read_scalars(result.work_dir) for name, result in results.items()}
    figures = {
        "curves.png": draw_curves(logs, curves | {"activation_rate": "activation rate (training)"}),
        "activation_rates.png": draw_rate_bars(dyt.rates, dyt.model.objective.target_rate),
    }
    inputs, samples = dyt.first_samples(len(names))
    for clip, sample in zip(inputs, samples):
        with torch.inference_mode(), collect_dispatch(dyt.model) as records:
            prediction = dyt.model.predict(clip.unsqueeze(0), [sample])[0]
        frames = (clip * 127.5 + 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
        truth, said = names[int(prediction.gt_label)], names[int(prediction.pred_label)]
        figures[f"strip_{truth}.png"] = draw_video_strip(
            frames, records, grid=(7, 7), caption=f"is {truth}, said {said}"
        )
    return figures


class WholeRecognizer(torch.nn.Module):
    """Backbone and head in one call, which ``Recognizer2D`` does on request only."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Class scores of ``(B, T, 3, H, W)`` clips, ``(B, num_classes)``."""
        return self.model(clips, stage="head")


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/demo-video"))
    work_dir = parser.parse_args().work_dir
    write_motion_videos(Path("data/motion"))
    results = compare(METHODS, CONFIGS, "acc/top1", work_dir)
    inputs, _ = results["Frozen, head only"].first_samples(32)
    models = {name: WholeRecognizer(result.model) for name, result in results.items()}
    speed = throughput(models, inputs)
    rows = print_comparison(TITLE, results, speed, ("acc/top1", "accuracy"), "clip")
    keep_comparison(work_dir, rows, draw(results))


if __name__ == "__main__":
    main()
