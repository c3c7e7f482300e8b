"""Tune a pre-trained ViT on real digits with DyT and three baselines, and compare.

Everything comes with the repository and scikit-learn; nothing is downloaded.
Results and pictures go to the work dir; a second run reuses what is there.
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import replace
from pathlib import Path

import torch
from matplotlib.figure import Figure
from rich.progress import Progress, track

from mmdyt.datasets.digits import write_digits
from mmdyt.engine.budget_files import keep_budgets
from mmdyt.engine.budgets import (
    evaluation_runner,
    measure_budgets,
    measure_merged,
    merge_counts,
)
from mmdyt.engine.comparison import (
    Result,
    compare,
    keep_comparison,
    print_comparison,
    throughput,
)
from mmdyt.models.utils import collect_dispatch, set_budget
from mmdyt.visualization import (
    draw_budget_curve,
    draw_curves,
    draw_rate_bars,
    draw_token_maps,
    read_scalars,
)

METHODS = {
    "Linear probe": "linear",
    "AdaptFormer": "adaptformer",
    "Full tuning": "full",
    "DyT (r = 0.5)": "dyt",
}
CONFIGS = "configs/image/digits/vit-mini_{}_digits.py"
METRIC = "accuracy/top1"
BUDGETS = 9  # points of the curve; 0.4 and 0.7 are among them
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


def spend(results: dict[str, Result], work_dir: Path) -> tuple[dict[str, Result], Figure]:
    """Set the one DyT model to two more budgets; draw all of them beside merged tokens."""
    dyt, adaptformer = results["DyT (r = 0.5)"], results["AdaptFormer"]
    cfg = copy.deepcopy(dyt.runner.cfg)  # its tests are none of the run's: they get a folder apart
    runner = evaluation_runner(cfg, cfg.load_from, str(work_dir / "budgets"))
    with Progress(transient=True) as progress:
        task = progress.add_task("Measuring budgets", total=BUDGETS)
        budgets = measure_budgets(
            runner, BUDGETS, METRIC, lambda done: progress.update(task, completed=done)
        )
    adapter = dyt.work_dir / "adapter.safetensors"
    known = dict(checkpoint=str(adapter), config=str(cfg.filename), data="test")
    keep_budgets(known | budgets, dyt.work_dir, adapter)
    merged = [
        measure_merged(adaptformer.runner.cfg, adaptformer.model, r, str(work_dir / "tome"), METRIC)
        for r in track(merge_counts(adaptformer.model), "Merging tokens", transient=True)
    ]
    rows = {}
    for rate in (0.4, 0.7):
        set_budget(runner.model, rate=rate, budgets=budgets)
        rows[f"the same DyT, set to {rate}"] = replace(
            dyt, metrics=runner.test_loop.run(), model=copy.deepcopy(runner.model)
        )
    return rows, draw_budget_curve(budgets, {"AdaptFormer + ToMe, not trained with it": merged})


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/demo"))
    work_dir = parser.parse_args().work_dir
    write_digits(Path("data/digits"))
    results = compare(METHODS, CONFIGS, METRIC, work_dir)
    budgets, curve = spend(results, work_dir)
    figures = draw(results)
    results |= budgets
    inputs, _ = results["Linear probe"].first_samples(256)
    speed = throughput({name: result.model for name, result in results.items()}, inputs)
    rows = print_comparison(TITLE, results, speed, (METRIC, "accuracy %"), "image")
    keep_comparison(work_dir, rows, figures | {"budgets.png": curve})


if __name__ == "__main__":
    main()
