"""Segment composed scenes with DyT and two baselines on a frozen ViT, and compare.

Everything comes with the repository: a small ViT pre-trained on Fashion-MNIST
and real items of it, which are pasted onto textures; nothing is downloaded.
Results and pictures go to the work dir; a second run reuses what is there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from mmengine.config import Config
from rich.console import Console
from rich.table import Table

from mmdyt.datasets.fashion_scenes import CLASSES, PALETTE, write_fashion_scenes
from mmdyt.engine.comparison import Result, run_or_reuse, throughput
from mmdyt.fileio import atomic_path
from mmdyt.models.utils import collect_dispatch
from mmdyt.visualization import draw_curves, draw_seg_panel, draw_token_maps, read_scalars

METHODS = {"Linear probe": "linear", "AdaptFormer": "adaptformer", "DyT (r = 0.5)": "dyt"}
CONFIGS = "configs/segmentation/demo/{}_vit-mini_fcn_fashion-scenes.py"


def test_batch(result: Result, size: int) -> tuple[torch.Tensor, list]:
    """Preprocess the first test scenes.

    Args:
        result: A run, for its data and its preprocessor.
        size: How many scenes.

    Returns:
        The images, ``(B, 3, H, W)``, and their data samples.
    """
    dataset = result.runner.test_dataloader.dataset
    samples = [dataset[index] for index in range(size)]
    batch = {key: [sample[key] for sample in samples] for key in ("inputs", "data_samples")}
    data = result.model.data_preprocessor(batch, False)
    return data["inputs"], data["data_samples"]


def print_tables(results: dict[str, Result], speed: dict[str, float]) -> list[dict]:
    """Print the comparison and the IoU of every class, and return the rows."""
    table = Table(title="ViT of Fashion-MNIST, frozen, with an FCN head: 800 scenes, tested on 200")
    for column in ("method", "mIoU %", "trainable", "GFLOPs", "activation rate", "images/s"):
        table.add_column(column, justify="left" if column == "method" else "right")
    by_class = Table(title="IoU of each class, %")
    by_class.add_column("method")
    for name in CLASSES:
        by_class.add_column(name, justify="right")
    rows = []
    for name, result in results.items():
        class_iou = {each: result.metrics.get(f"IoU/{each}") for each in CLASSES}
        row = dict(
            method=name,
            miou=result.metrics["mIoU"],
            class_iou=class_iou,
            trainable_params=result.trainable,
            gflops=result.metrics["dispatch/gflops"],
            activation_rate=result.metrics.get("dispatch/activation_rate"),
            images_per_second=speed[name],
        )
        rate = row["activation_rate"]
        table.add_row(
            name,
            f"{row['miou']:.2f}",
            f"{row['trainable_params']:,}",
            f"{row['gflops']:.4f}",
            "-" if rate is None else f"{rate:.3f}",
            f"{row['images_per_second']:.0f}",
        )
        by_class.add_row(
            name, *("-" if iou is None else f"{iou:.1f}" for iou in class_iou.values())
        )
        rows.append(row)
    Console().print(table)
    Console().print(by_class)
    return rows


def draw(results: dict[str, Result], work_dir: Path) -> None:
    """Draw the panels, the token maps of every layer and the curves."""
    dyt = results["DyT (r = 0.5)"]
    inputs, samples = test_batch(dyt, 8)
    with torch.inference_mode(), collect_dispatch(dyt.model) as records:
        predictions = dyt.model.predict(inputs, samples)
    images = (inputs * 127.5 + 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    truth = torch.cat([sample.gt_sem_seg.data for sample in samples]).numpy()  # (B, H, W)
    predicted = torch.cat([sample.pred_sem_seg.data for sample in predictions]).cpu().numpy()
    grid = dyt.model.backbone.patch_resolution
    curves = {"mIoU": "test mIoU, %", "activation_rate": "activation rate (training)"}
    logs = {name: read_scalars(result.work_dir) for name, result in results.items()}
    figures = {
        "panels.png": draw_seg_panel(images, truth, predicted, records, grid, CLASSES, PALETTE),
        "token_maps.png": draw_token_maps(images, records, grid),
        "curves.png": draw_curves(logs, {"loss": "training loss"} | curves),
    }
    for name, figure in figures.items():
        with atomic_path(work_dir / name) as path:
            figure.savefig(path, dpi=130)


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/demo-seg"))
    work_dir = parser.parse_args().work_dir
    write_fashion_scenes(Path("data/fashion_scenes"))
    results = {
        name: run_or_reuse(name, Config.fromfile(CONFIGS.format(key)), work_dir / key)
        for name, key in METHODS.items()
    }
    inputs, _ = test_batch(results["Linear probe"], 32)
    speed = throughput({name: result.model for name, result in results.items()}, inputs)
    rows = print_tables(results, speed)
    with atomic_path(work_dir / "results.json") as path:
        path.write_text(json.dumps(rows, indent=2))
    draw(results, work_dir)
    print(f"Pictures, results.json, logs and checkpoints: {work_dir}")


if __name__ == "__main__":
    main()
