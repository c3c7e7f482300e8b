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
import copy
import logging
import tempfile
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.runner import Runner
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table
from torch import nn

from mmdyt.engine.budget_files import FILE, keep_budgets
from mmdyt.engine.budgets import (
    evaluation_runner,
    measure_budgets,
    measure_merged,
    merge_counts,
    merged_config,
)
from mmdyt.engine.cli import positive_int, require_writable, tool
from mmdyt.engine.config_keys import load_config
from mmdyt.engine.run_checks import check_run, require_checkpoint
from mmdyt.fileio import atomic_path
from mmdyt.visualization import draw_budget_curve

MERGED = "AdaptFormer + ToMe"


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


def merged_curves(
    cfg: Config, plain: nn.Module, args: argparse.Namespace, metric: str
) -> dict[str, list[dict[str, Any]]]:
    """Measure AdaptFormer with tokens merged, untrained and, if asked for, trained so.

    Args:
        cfg: AdaptFormer's config, without token dispatch.
        plain: Its trained model.
        args: The command line.
        metric: The metric that counts.
    """
    as_it_is, trained = f"{MERGED}, not trained with it", f"{MERGED}, trained with it"
    curves: dict[str, list[dict[str, Any]]] = {as_it_is: []}
    with tempfile.TemporaryDirectory() as folder:
        for r in track(merge_counts(plain), MERGED, transient=True):
            curves[as_it_is].append(measure_merged(cfg, plain, r, folder, metric, args.data))
            if args.train:
                model = train_merged(cfg, r, args.out / "tome" / f"r{r}")
                point = measure_merged(cfg, model, r, folder, metric, args.data)
                curves.setdefault(trained, []).append(point)
    return curves


def train_merged(cfg: Config, r: int, work_dir: Path) -> nn.Module:
    """Train a config with ``r`` tokens merged in each layer; a finished run is used again."""
    cfg = merged_config(cfg, r)
    cfg.work_dir, cfg.resume, cfg.log_level = str(work_dir), True, "ERROR"
    return Runner.from_cfg(cfg).train()


def print_table(budgets: dict[str, Any], curves: dict[str, list[dict[str, Any]]]) -> None:
    """Print all points."""
    table = Table(
        title=f"{budgets['checkpoint']}: {budgets['metric']}, {budgets['images']} samples"
    )
    for heading in ("budget", "shift", "rate", "GFLOPs", "accuracy", "equal tokens an image"):
        table.add_column(heading, justify="left" if heading == "budget" else "right")
    for name, point in [("as trained", budgets["trained"]), *(("", p) for p in budgets["points"])]:
        static = f"{point['capacity']['accuracy']:.4g}" if "capacity" in point else ""
        numbers = (f"{point['shift']:.3f}", f"{point['rate']:.3f}", f"{point['gflops']:.4f}")
        table.add_row(name, *numbers, f"{point['accuracy']:.4g}", static)
    for name, points in curves.items():
        for point in points:
            cost = f"{point['gflops']:.4f}"
            table.add_row(f"{name}, r = {point['r']}", "", "", cost, f"{point['accuracy']:.4g}", "")
    Console().print(table)


@tool
def main() -> None:
    """Measure, keep, draw."""
    args = parse_args()
    logging.disable(logging.INFO)
    require_checkpoint(args.checkpoint, "CHECKPOINT")
    require_writable(args.out / FILE, "--out")
    cfg = load_config(args.config, args.cfg_options)
    with tempfile.TemporaryDirectory() as folder, Progress(transient=True) as progress:
        if args.adaptformer:  # wrong files are told before the work
            merged_cfg = load_config(args.adaptformer[0], args.cfg_options)
            if args.train:
                check_run(copy.deepcopy(merged_cfg), "train")
            plain = evaluation_runner(
                copy.deepcopy(merged_cfg), args.adaptformer[1], folder, args.data
            ).model
            most = max(merge_counts(plain))
            evaluation_runner(merged_config(merged_cfg, most), None, folder, args.data)
        runner = evaluation_runner(cfg, args.checkpoint, folder, args.data)
        task = progress.add_task("", total=args.points)
        tests = 0

        def tell(done: int) -> None:
            nonlocal tests
            tests += 1
            text = f"{done} of {args.points} budgets found, {tests} tests of the model"
            progress.update(task, completed=done, description=text)

        budgets = measure_budgets(runner, args.points, args.metric, tell)
    budgets = dict(checkpoint=args.checkpoint, config=args.config, data=args.data) | budgets
    kept = keep_budgets(budgets, args.out, Path(args.checkpoint))
    curves = {}
    if args.adaptformer:
        curves = merged_curves(merged_cfg, plain, args, budgets["metric"])
        keep_budgets(budgets | dict(others=curves), args.out, Path(args.checkpoint))
    with atomic_path(args.out / "budgets.png") as path:
        draw_budget_curve(budgets, curves).savefig(path, dpi=120)
    print_table(budgets, curves)
    written = ", ".join(map(str, [*kept, args.out / "budgets.png"]))
    Console().print(f"Written to {written}", soft_wrap=True)
    if Path(args.checkpoint).suffix == ".safetensors" and Path(args.checkpoint) not in kept:
        Console().print(f"{args.checkpoint} is left alone: its folder may not be written")


if __name__ == "__main__":
    main()
