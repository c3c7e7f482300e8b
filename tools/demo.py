"""Tune a pre-trained ViT on real digits with DyT and three baselines, and compare.

Everything comes with the repository and scikit-learn; nothing is downloaded.
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

from mmdyt.datasets.digits import write_digits
from mmdyt.engine.comparison import Result, run_or_reuse, throughput
from mmdyt.fileio import atomic_path
from mmdyt.models.utils import collect_dispatch
from mmdyt.visualization import draw_curves, draw_rate_bars, draw_token_maps, read_scalars

METHODS = {
    "Linear probe": "linear",
    "AdaptFormer": "adaptformer",
    "Full tuning": "full",
    "DyT (r = 0.5)": "dyt",
}
CONFIGS = "configs/image/digits/vit-mini_{}_digits.py"


def test_batch(result: Result, size: int) -> tuple[torch.Tensor, list]:
    """Preprocess the first test images.

    Args:
        result: A run, for its data and its preprocessor.
        size: How many images.

    Returns:
        The images, ``(B, 3, H, W)``, and their data samples.
    """
    dataset = result.runner.test_dataloader.dataset
    samples = [dataset[index] for index in range(size)]
    batch = dict(
        inputs=torch.stack([sample["inputs"] for sample in samples]),
        data_samples=[sample["data_samples"] for sample in samples],
    )
    data = result.model.data_preprocessor(batch, False)
    return data["inputs"], data["data_samples"]


def print_table(results: dict[str, Result], speed: dict[str, float]) -> list[dict]:
    """Print the comparison and return its rows."""
    table = Table(title="Fashion-MNIST ViT tuned on 1,000 real digits, tested on 797")
    for column in ("method", "accuracy %", "trainable", "GFLOPs", "activation rate", "images/s"):
        table.add_column(column, justify="left" if column == "method" else "right")
    rows = []
    for name, result in results.items():
        row = dict(
            method=name,
            accuracy=result.metrics["accuracy/top1"],
            trainable_params=result.trainable,
            gflops=result.metrics["dispatch/gflops"],
            activation_rate=result.metrics.get("dispatch/activation_rate"),
            images_per_second=speed[name],
        )
        rate = row["activation_rate"]
        table.add_row(
            name,
            f"{row['accuracy']:.2f}",
            f"{row['trainable_params']:,}",
            f"{row['gflops']:.4f}",
            "-" if rate is None else f"{rate:.3f}",
            f"{row['images_per_second']:.0f}",
        )
        rows.append(row)
    Console().print(table)
    return rows


def draw(results: dict[str, Result], work_dir: Path) -> None:
    """Draw activation rates, token maps and curves into the work dir."""
    dyt = results["DyT (r = 0.5)"]
    rates = {
        key.removeprefix("dispatch/rate_").replace("_", " "): value
        for key, value in dyt.metrics.items()
        if key.startswith("dispatch/rate_")
    }
    inputs, samples = test_batch(dyt, 6)
    with torch.inference_mode(), collect_dispatch(dyt.model) as records:
        predictions = dyt.model.predict(inputs, samples)
    images = (inputs * 127.5 + 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    captions = [f"is {int(p.gt_label)}, said {int(p.pred_label)}" for p in predictions]
    curves = {"loss": "training loss", "accuracy/top1": "test accuracy, %"}
    logs = {name: read_scalars(result.work_dir) for name, result in results.items()}
    figures = {
        "activation_rates.png": draw_rate_bars(rates, target=dyt.model.objective.target_rate),
        "token_maps.png": draw_token_maps(images, records, grid=(7, 7), captions=captions),
        "curves.png": draw_curves(logs, curves | {"activation_rate": "activation rate (training)"}),
    }
    for name, figure in figures.items():
        with atomic_path(work_dir / name) as path:
            figure.savefig(path, dpi=130)


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/demo"))
    work_dir = parser.parse_args().work_dir
    write_digits(Path("data/digits"))
    results = {
        name: run_or_reuse(name, Config.fromfile(CONFIGS.format(key)), work_dir / key)
        for name, key in METHODS.items()
    }
    inputs, _ = test_batch(results["Linear probe"], 256)
    speed = throughput({name: result.model for name, result in results.items()}, inputs)
    rows = print_table(results, speed)
    with atomic_path(work_dir / "results.json") as path:
        path.write_text(json.dumps(rows, indent=2))
    draw(results, work_dir)
    print(f"Pictures, results.json, logs and checkpoints: {work_dir}")


if __name__ == "__main__":
    main()
