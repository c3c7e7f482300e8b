"""Teach a frozen image ViT eight motions with DyT, from real MP4 files, and compare.

Real digits move; the class is the motion, and no scan is in both splits. Results
and pictures go to the work dir; a second run reuses what is there. Nothing is
downloaded.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from mmengine.config import Config
from rich.console import Console
from rich.table import Table

from mmdyt.datasets.video_motion import MOTIONS, write_motion_videos
from mmdyt.engine.comparison import Result, run_or_reuse, throughput
from mmdyt.fileio import atomic_path
from mmdyt.models.utils import collect_dispatch
from mmdyt.visualization import draw_curves, draw_rate_bars, read_scalars
from mmdyt.visualization.video_strip import draw_video_strip

METHODS = {"Frozen, head only": "linear", "DyT (r = 0.5)": "dyt"}
CONFIGS = "configs/video/demo/{}_vit-mini_motion.py"


def test_clips(result: Result, size: int) -> tuple[torch.Tensor, list]:
    """Preprocess the first test clips.

    Args:
        result: A run, for its data and its preprocessor.
        size: How many clips.

    Returns:
        The clips, ``(B, T, 3, H, W)``, and their data samples.
    """
    dataset = result.runner.test_dataloader.dataset
    samples = [dataset[index] for index in range(size)]
    batch = {key: [sample[key] for sample in samples] for key in samples[0]}
    data = result.model.data_preprocessor(batch, False)
    return data["inputs"], data["data_samples"]


def print_table(results: dict[str, Result], speed: dict[str, float]) -> list[dict]:
    """Print the comparison and return its rows."""
    table = Table(title="Fashion-MNIST image ViT tuned on 320 clips of 8 motions, tested on 160")
    columns = ("method", "accuracy %", "trainable", "GFLOPs/view", "activation rate", "clips/s")
    for column in columns:
        table.add_column(column, justify="left" if column == "method" else "right")
    rows = []
    for name, result in results.items():
        rate = result.metrics.get("dispatch/activation_rate")
        row = dict(
            method=name,
            accuracy=100 * result.metrics["acc/top1"],
            trainable_params=result.trainable,
            gflops_per_view=result.metrics["dispatch/gflops"],
            activation_rate=rate,
            clips_per_second=speed[name],
        )
        table.add_row(
            name,
            f"{row['accuracy']:.1f}",
            f"{row['trainable_params']:,}",
            f"{row['gflops_per_view']:.4f}",
            "-" if rate is None else f"{rate:.3f}",
            f"{row['clips_per_second']:.1f}",
        )
        rows.append(row)
    Console().print(table)
    return rows


def draw(results: dict[str, Result], work_dir: Path) -> None:
    """Draw a strip a motion, activation rates and curves into the work dir."""
    dyt = results["DyT (r = 0.5)"]
    names = list(MOTIONS)
    curves = {"loss": "training loss", "acc/top1": "test accuracy"}
    logs = {name: read_scalars(result.work_dir) for name, result in results.items()}
    rates = {
        key.removeprefix("dispatch/rate_").replace("_", " "): value
        for key, value in dyt.metrics.items()
        if key.startswith("dispatch/rate_")
    }
    figures = {
        "curves.png": draw_curves(logs, curves | {"activation_rate": "activation rate (training)"}),
        "activation_rates.png": draw_rate_bars(rates, target=dyt.model.objective.target_rate),
    }
    inputs, samples = test_clips(dyt, len(names))
    for clip, sample in zip(inputs, samples):
        with torch.inference_mode(), collect_dispatch(dyt.model) as records:
            prediction = dyt.model.predict(clip.unsqueeze(0), [sample])[0]
        frames = (clip * 127.5 + 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
        truth, said = names[int(prediction.gt_label)], names[int(prediction.pred_label)]
        figures[f"strip_{truth}.png"] = draw_video_strip(
            frames, records, grid=(7, 7), caption=f"is {truth}, said {said}"
        )
    for name, figure in figures.items():
        with atomic_path(work_dir / name) as path:
            figure.savefig(path, dpi=100)


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
    results = {
        name: run_or_reuse(name, Config.fromfile(CONFIGS.format(key)), work_dir / key)
        for name, key in METHODS.items()
    }
    inputs, _ = test_clips(results["Frozen, head only"], 32)
    models = {name: WholeRecognizer(result.model) for name, result in results.items()}
    rows = print_table(results, throughput(models, inputs))
    with atomic_path(work_dir / "results.json") as path:
        path.write_text(json.dumps(rows, indent=2))
    draw(results, work_dir)
    print(f"Pictures, results.json, logs and checkpoints: {work_dir}")


if __name__ == "__main__":
    main()
