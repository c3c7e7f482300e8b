"""Train several methods on one task, measure them alike, and keep the results.

The demos are thin scripts over this.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor, nn

import mmdyt
from mmdyt.evaluation.timing import time_alternately
from mmdyt.fileio import atomic_path


@dataclass(frozen=True)
class Result:
    """One method's run.

    Args:
        metrics: What testing gave, ``dispatch/*`` included.
        trainable: Number of trainable parameters.
        model: The trained model, in evaluation mode.
        runner: The runner that trained or loaded it.
        work_dir: Where its logs, checkpoints and curves are.
    """

    metrics: dict[str, float]
    trainable: int
    model: Any
    runner: Runner
    work_dir: Path


def run_or_reuse(title: str, cfg: Config, work_dir: Path) -> Result:
    """Train and test a config, or load what an earlier call left.

    A finished run is reused while the config and mmdyt's version are the
    same; one that was cut off resumes from its last checkpoint.

    Args:
        title: What to call the run on the progress bar.
        cfg: A complete config; its work dir and log level are set here.
        work_dir: Folder of this run.

    Returns:
        The measured metrics with the trained model.
    """
    fingerprint = hashlib.sha256(f"{mmdyt.__version__}\n{cfg.pretty_text}".encode()).hexdigest()
    done = work_dir / fingerprint[:12] / "metrics.json"
    cfg.merge_from_dict(dict(work_dir=str(done.parent), log_level="ERROR", resume=True))
    cfg.custom_hooks = [
        *cfg.get("custom_hooks", []),
        dict(type="mmdyt.ProgressBarHook", title=title),
    ]
    if done.exists():
        cfg.resume = False
        last = (done.parent / "last_checkpoint").read_text().strip()
        cfg.load_from = str(done.parent / Path(last).name)
    runner = Runner.from_cfg(cfg)
    if done.exists():
        runner.load_or_resume()
        metrics = json.loads(done.read_text())
    else:
        runner.train()
        metrics = {key: float(value) for key, value in runner.test().items()}
        with atomic_path(done) as path:
            path.write_text(json.dumps(metrics, indent=2))
    model = runner.model.eval()
    trainable = sum(param.numel() for param in model.parameters() if param.requires_grad)
    return Result(metrics, trainable, model, runner, done.parent)


@torch.inference_mode()
def throughput(
    models: Mapping[str, nn.Module], inputs: Tensor, rounds: int = 9
) -> dict[str, float]:
    """Measure samples per second of several models on the same inputs.

    The models take turns, so that what else the machine does meets all of
    them; the median of the rounds counts, after one round of warm-up.

    Args:
        models: Models by name, in evaluation mode.
        inputs: Preprocessed samples, ``(B, ...)``.
        rounds: Timed passes a model. Defaults to 9.

    Returns:
        Samples per second by name.
    """
    passes = {name: partial(model, inputs) for name, model in models.items()}
    seconds = time_alternately(passes, rounds, title="Measuring speed")
    return {name: len(inputs) / statistics.median(each) for name, each in seconds.items()}
