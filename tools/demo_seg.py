"""Segment composed scenes with DyT and two baselines on a frozen ViT, and compare.

Everything comes with the repository: a small ViT pre-trained on Fashion-MNIST
and real items of it, which are pasted onto textures; nothing is downloaded.
Results and pictures go to the work dir; a second run reuses what is there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from mmdyt.datasets.fashion_scenes import CLASSES, PALETTE, write_fashion_scenes
from mmdyt.engine.comparison import (
    Result,
    compare,
    keep_comparison,
    print_comparison,
    throughput,
)
from mmdyt.models.utils import collect_dispatch
from mmdyt.visualization import draw_curves, draw_seg_panel, draw_token_maps, read_scalars

METHODS = {"Linear probe": "linear", "AdaptFormer": "adaptformer", "DyT (r = 0.5)": "dyt"}
CONFIGS = "configs/segmentation/demo/{}_vit-mini_fcn_fashion-scenes.py"
TITLE = "ViT of Fashion-MNIST, frozen, with an FCN head: 800 scenes, tested on 200"


def print_classes(results: dict[str, Result]) -> None:
    """Print the IoU of every class."""
    table = Table(title="IoU of each class, %")
    table.add_column("method")
    for name in CLASSES:
        table.add_column(name, justify="right")
    for method, result in results.items():
        iou = [result.metrics.get(f"IoU/{name}") for name in CLASSES]
        table.add_row(method, *("-" if value is None else f"{value:.1f}" for value in iou))
    Console().print(table)


def draw(results: dict[str, Result]) -> dict[str, Figure]:
    """Draw the panels, the token maps of every layer and the curves."""
    dyt = results["DyT (r = 0.5)"]
    inputs, samples = dyt.first_samples(8)
    with torch.inference_mode(), collect_dispatch(dyt.model) as records:
        predictions = dyt.model.predict(inputs, samples)
    images = (inputs * 127.5 + 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    truth = torch.cat([sample.gt_sem_seg.data for sample in samples]).numpy()  # (B, H, W)
    predicted = torch.cat([sample.pred_sem_seg.data for sample in predictions]).cpu().numpy()
    grid = dyt.model.backbone.patch_resolution
    curves = {"mIoU": "test mIoU, %", "activation_rate": "activation rate (training)"}
    logs = {name: read_scalars(result.work_dir) for name, result in results.items()}
    return {
        "panels.png": draw_seg_panel(images, truth, predicted, records, grid, CLASSES, PALETTE),
        "token_maps.png": draw_token_maps(images, records, grid),
        "curves.png": draw_curves(logs, {"task_loss": "training loss of the task"} | curves),
    }


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/demo-seg"))
    work_dir = parser.parse_args().work_dir
    write_fashion_scenes(Path("data/fashion_scenes"))
    results = compare(METHODS, CONFIGS, "mIoU", work_dir)
    inputs, _ = results["Linear probe"].first_samples(32)
    speed = throughput({name: result.model for name, result in results.items()}, inputs)
    rows = print_comparison(TITLE, results, speed, ("mIoU", "mIoU %"), "image")
    print_classes(results)
    keep_comparison(work_dir, rows, draw(results))


if __name__ == "__main__":
    main()
