"""Tune a pre-trained ViT on real digits with DyT and three baselines, and compare.

Everything comes with the repository and scikit-learn; nothing is downloaded.
Results and pictures go to the work dir; a second run reuses what is there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure

from mmdyt.datasets.digits import write_digits
from mmdyt.engine.comparison import (
    Result,
    compare,
    keep_comparison,
    print_comparison,
    throughput,
)
from mmdyt.models.utils import collect_dispatch
from mmdyt.visualization import draw_curves, draw_rate_bars, draw_token_maps, read_scalars

METHODS = {
    "Linear probe": "linear",
    "AdaptFormer": "adaptformer",
    "Full tuning": "full",
    "DyT (r = 0.5)": "dyt",
}
CONFIGS = "configs/image/digits/vit-mini_{}_digits.py"
TITLE = "Fashion-MNIST ViT tuned on 1,000 real digits, tested on 797"


def draw(results: dict[str, Result]) -> dict[str, Figure]:
    """Draw activation rates, token maps and curves."""
    dyt = results["DyT (r = 0.5)"]
    inputs, samples = dyt.first_samples(6)
    with torch.inference_mode(), collect_dispatch(dyt.model) as records:
        predictions = dyt.model.predict(inputs, samples)
    images = (inputs * 127.5 + 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    captions = [f"is {int(p.gt_label)}, said {int(p.pred_label)}" for p in predictions]
    curves = {"task_loss": "training loss of the task", "accuracy/top1": "test accuracy, %"}
    logs = {name: read_scalars(result.work_dir) for name, result in results.items()}
    return {
        "activation_rates.png": draw_rate_bars(dyt.rates, dyt.model.objective.target_rate),
        "token_maps.png": draw_token_maps(images, records, grid=(7, 7), captions=captions),
        "curves.png": draw_curves(logs, curves | {"activation_rate": "activation rate (training)"}),
    }


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/demo"))
    work_dir = parser.parse_args().work_dir
    write_digits(Path("data/digits"))
    results = compare(METHODS, CONFIGS, "accuracy/top1", work_dir)
    inputs, _ = results["Linear probe"].first_samples(256)
    speed = throughput({name: result.model for name, result in results.items()}, inputs)
    rows = print_comparison(TITLE, results, speed, ("accuracy/top1", "accuracy %"), "image")
    keep_comparison(work_dir, rows, draw(results))


if __name__ == "__main__":
    main()
