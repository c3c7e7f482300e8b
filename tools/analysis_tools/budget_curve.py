"""Measure which budgets a trained model can be set to, and what each costs in accuracy.

One shift of all dispatchers' logits moves the rate. The shifts that give 10 % to 90 %
of what dispatch can save are found by bisection on the measured GFLOPs. budgets.json and
budgets.png go to --out; an adapter file gets the table into its metadata, from where
`mmdyt.set_budget`, `tools/test.py --budget` and `tools/deployment/export.py --budget`
read it. With --adaptformer the picture also has that model with its tokens merged
(ToMe), as it is and, with --train, trained so.

    python tools/analysis_tools/budget_curve.py CONFIG work_dirs/my_run/adapter.safetensors
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.runner import Runner
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table

from mmdyt.engine.budgets import evaluation_runner, keep_budgets, measure, measure_budgets
from mmdyt.engine.cli import positive_int, tool
from mmdyt.engine.config_keys import load_config
from mmdyt.fileio import atomic_path
from mmdyt.visualization import draw_budget_curve

MERGES = 5  # values of ToMe's r beside 0


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="path of a config file")
    parser.add_argument("checkpoint", help="an epoch_*.pth, best_*.pth or adapter.safetensors")
    parser.add_argument(
        "--data", choices=["val", "test"], default="val", help="data set to measure on"
    )
    parser.add_argument("--points", type=positive_int, default=9, help="budgets, 2 or more")
    parser.add_argument("--metric", help="metric that counts; defaults to the evaluator's first")
    parser.add_argument(
        "--out", type=Path, help="folder of budgets.json and budgets.png; the checkpoint's"
    )
    parser.add_argument(
        "--adaptformer",
        nargs=2,
        metavar=("CONFIG", "CHECKPOINT"),
        help="the model without dispatch, to be compared with merged tokens",
    )
    parser.add_argument(
        "--train", action="store_true", help="train --adaptformer at each number of merged tokens"
    )
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, help="overrides of the config: key=value ..."
    )
    args = parser.parse_args()
    if args.points < 2:
        parser.error(f"--points must be 2 or more, got {args.points}")
    if args.train and not args.adaptformer:
        parser.error("--train needs --adaptformer CONFIG CHECKPOINT")
    args.out = args.out or Path(args.checkpoint).parent
    return args


def use_data(cfg: Config, name: str) -> Config:
    """Let a config's test run on its validation set, where ``name`` is ``'val'``."""
    if name == "val":
        for part in ("dataloader", "evaluator"):
            if cfg.get(f"val_{part}") is None:
                raise ValueError(f"{cfg.filename} has no val_{part}: choose --data test")
            cfg[f"test_{part}"] = cfg[f"val_{part}"]
    return cfg


def merged_curves(args: argparse.Namespace, metric: str) -> dict[str, list[dict[str, Any]]]:
    """Measure AdaptFormer with tokens merged, untrained and, if asked for, trained so."""
    path, checkpoint = args.adaptformer
    curves: dict[str, list[dict[str, Any]]] = {"AdaptFormer + ToMe, not trained with it": []}
    if args.train:
        curves["AdaptFormer + ToMe, trained with it"] = []
    with tempfile.TemporaryDirectory() as folder:
        cfg = use_data(load_config(path, args.cfg_options), args.data)
        plain = evaluation_runner(cfg, checkpoint, folder).model
        grid = plain.backbone.patch_resolution
        most = (grid[0] * grid[1] - 1) // plain.backbone.num_layers
        values = sorted({round(most * step / MERGES) for step in range(MERGES + 1)})
        for r in track(values, "AdaptFormer + ToMe", transient=True):
            for name, points in curves.items():
                cfg = use_data(load_config(path, args.cfg_options), args.data)
                cfg.model.backbone.update(type="mmdyt.ToMeViT", r=r)
                if name.endswith(", trained with it"):
                    cfg.work_dir = str(args.out / "tome" / f"r{r}")
                    cfg.resume, cfg.log_level = True, "ERROR"
                    model = Runner.from_cfg(cfg).train()
                else:
                    model = plain
                runner = evaluation_runner(cfg, None, folder)
                # A plain dict: the weights are meant for a backbone of another config.
                runner.model.load_state_dict(dict(model.state_dict()))
                points.append(dict(r=r) | measure(runner, metric))
    return curves


def print_table(budgets: dict[str, Any], curves: dict[str, list[dict[str, Any]]]) -> None:
    """Print all points."""
    table = Table(
        title=f"{budgets['checkpoint']}: {budgets['metric']}, {budgets['images']} samples"
    )
    for heading in ("budget", "shift", "rate", "GFLOPs", "accuracy", "equal tokens an image"):
        table.add_column(heading, justify="left" if heading == "budget" else "right")
    for name, point in [("as trained", budgets["trained"]), *(("", p) for p in budgets["points"])]:
        static = f"{point['capacity']['accuracy']:.2f}" if "capacity" in point else ""
        numbers = (f"{point['shift']:.3f}", f"{point['rate']:.3f}", f"{point['gflops']:.4f}")
        table.add_row(name, *numbers, f"{point['accuracy']:.2f}", static)
    for name, points in curves.items():
        for point in points:
            cost = f"{point['gflops']:.4f}"
            table.add_row(f"{name}, r = {point['r']}", "", "", cost, f"{point['accuracy']:.2f}", "")
    Console().print(table)


@tool
def main() -> None:
    """Measure, keep, draw."""
    args = parse_args()
    logging.disable(logging.INFO)
    cfg = use_data(load_config(args.config, args.cfg_options), args.data)
    with tempfile.TemporaryDirectory() as folder, Progress(transient=True) as progress:
        runner = evaluation_runner(cfg, args.checkpoint, folder)
        task = progress.add_task("", total=args.points)
        tests = 0

        def tell(done: int) -> None:
            nonlocal tests
            tests += 1
            text = f"{done} of {args.points} budgets found, {tests} tests of the model"
            progress.update(task, completed=done, description=text)

        budgets = measure_budgets(runner, args.points, args.metric, tell)
    budgets = dict(checkpoint=args.checkpoint, config=args.config, data=args.data) | budgets
    curves = merged_curves(args, budgets["metric"]) if args.adaptformer else {}
    keep_budgets(budgets | dict(others=curves), args.out, Path(args.checkpoint))
    with atomic_path(args.out / "budgets.png") as path:
        draw_budget_curve(budgets, curves).savefig(path, dpi=120)
    print_table(budgets, curves)
    Console().print(f"Written to {args.out}/budgets.json and .png", soft_wrap=True)


if __name__ == "__main__":
    main()
