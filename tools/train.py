"""Train a model from a config, as in every OpenMMLab project."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

import mmdyt.fileio  # noqa: F401  (weight files are read as data, whatever the config)
from mmdyt.engine.checkpoints import use_safe_checkpoints
from mmdyt.engine.cli import tool
from mmdyt.engine.config_keys import load_config
from mmdyt.engine.launch import join_cpu_processes, require_amp_device
from mmdyt.engine.run_checks import check_head_width, check_run


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="path of a config file")
    parser.add_argument("--work-dir", help="folder of logs and checkpoints")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        help="resume from this checkpoint, or from the latest of the work dir if none is named",
    )
    parser.add_argument("--amp", action="store_true", help="train in mixed precision (GPU)")
    parser.add_argument("--no-validate", action="store_true", help="do not validate")
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate by the real over the config's total batch size",
    )
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, help="overrides of the config: key=value ..."
    )
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0)
    return parser.parse_args()


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Put the command line into the config.

    The work dir is, in this order, the option's, the config's, or
    ``work_dirs/<name of the config>``.
    """
    cfg.launcher = args.launcher
    cfg.work_dir = (
        args.work_dir or cfg.get("work_dir") or str(Path("work_dirs") / Path(args.config).stem)
    )
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        wrapper = cfg.optim_wrapper.get("type", "OptimWrapper")
        if str(wrapper).rpartition(".")[2] not in ("OptimWrapper", "AmpOptimWrapper"):
            raise ValueError(f"--amp would replace optim_wrapper.type={wrapper!r}: leave one out")
        cfg.optim_wrapper.type = "AmpOptimWrapper"
        cfg.optim_wrapper.setdefault("loss_scale", "dynamic")
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == "auto" else args.resume
    if args.auto_scale_lr:
        if not (cfg.get("auto_scale_lr") or {}).get("base_batch_size"):
            raise ValueError("--auto-scale-lr needs auto_scale_lr.base_batch_size in the config")
        cfg.auto_scale_lr.enable = True
    return cfg


@tool
def main() -> None:
    """Run the training."""
    args = parse_args()
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    cfg = merge_args(load_config(args.config, args.cfg_options), args)
    check_run(cfg, "train")
    use_safe_checkpoints(cfg)
    require_amp_device(cfg)
    join_cpu_processes(cfg)
    runner = Runner.from_cfg(cfg)
    check_head_width(runner.model, cfg)
    runner.train()


if __name__ == "__main__":
    main()
