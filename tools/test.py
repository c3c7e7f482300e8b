"""Test a checkpoint, complete or adapter-only, as in every OpenMMLab project."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import mmengine
from mmengine.config import DictAction
from mmengine.dist import is_main_process
from mmengine.evaluator import DumpResults
from mmengine.runner import Runner

from mmdyt.engine.budget_files import use_budget
from mmdyt.engine.budgets import drop_ema
from mmdyt.engine.cli import require_writable, tool
from mmdyt.engine.config_keys import load_config
from mmdyt.engine.launch import join_cpu_processes
from mmdyt.engine.run_checks import check_head_width, check_run
from mmdyt.engine.test_options import show_predictions, use_tta
from mmdyt.fileio import atomic_path


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="path of a config file")
    parser.add_argument("checkpoint", help="an epoch_*.pth, best_*.pth or adapter.safetensors")
    parser.add_argument("--work-dir", help="folder of logs and metrics")
    parser.add_argument(
        "--budget",
        type=float,
        help="share of active tokens, out of the table of budgets that budget_curve.py measured",
    )
    parser.add_argument(
        "--capacity",
        action="store_true",
        help="with --budget: equal numbers of tokens in all images, as export.py --capacity",
    )
    parser.add_argument("--out", help="file (.json, .pkl) to write results to")
    parser.add_argument(
        "--out-item",
        choices=["metrics", "pred"],
        default="pred",
        help="what to write to --out; predictions need a .pkl",
    )
    parser.add_argument(
        "--show-dir", metavar="DIR", help="folder for a picture of every prediction"
    )
    parser.add_argument(
        "--tta",
        action="store_true",
        help="test-time augmentation: the config's tta_model and tta_pipeline, or image and mirror "
        "image",
    )
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, help="overrides of the config: key=value ..."
    )
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0)
    args = parser.parse_args()
    if args.capacity and args.budget is None:
        parser.error("--capacity needs --budget RATE")
    return args


@tool
def main() -> None:
    """Run the test."""
    args = parse_args()
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    if args.out:
        suffixes = (".pkl",) if args.out_item == "pred" else (".json", ".yaml", ".yml", ".pkl")
        require_writable(args.out, "--out", suffixes)
    cfg = load_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    # Logs and config of another test than the run's own must not stand for these: a folder apart.
    work_dir = Path(cfg.get("work_dir") or Path("work_dirs") / Path(args.config).stem)
    if args.budget is not None:
        work_dir /= f"budget_{args.budget}{'_capacity' * args.capacity}"
    if args.tta:
        work_dir /= "tta"
    cfg.work_dir = args.work_dir or str(work_dir)
    cfg.load_from = args.checkpoint
    cfg.resume = False
    check_run(cfg, "test")
    if args.show_dir:
        show_predictions(cfg, args.show_dir)
    if args.tta:
        use_tta(cfg)
    join_cpu_processes(cfg)
    runner = Runner.from_cfg(cfg)
    check_head_width(runner.model, cfg)
    if args.budget is not None:
        drop_ema(runner)
        runner.load_or_resume()
        use_budget(runner.model, args.checkpoint, args.budget, args.capacity)
    if args.out and args.out_item == "pred":
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
    metrics = runner.test()
    if args.out and args.out_item == "metrics" and is_main_process():
        with atomic_path(args.out) as path:
            mmengine.dump(metrics, path)


if __name__ == "__main__":
    main()
