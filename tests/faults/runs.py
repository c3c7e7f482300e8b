"""Tiny runs of the three hosts, each in a forked process that can be killed."""

from __future__ import annotations

import os
import resource
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import MessageHub
from mmengine.registry import METRICS
from mmengine.runner import Runner
from PIL import Image
from torch.utils import tensorboard  # noqa: F401  imported once, not in every child

import mmdyt.datasets
import mmdyt.engine.hooks
import mmdyt.evaluation
import mmdyt.models  # noqa: F401
from mmdyt.engine.checkpoints import POINTER, is_complete
from tests.conftest import CONFIGS, TINY_ARCH

EPOCH = 4  # iterations of an epoch of every run here


@METRICS.register_module()
class EpochMetric(BaseMetric):
    """A figure that rises with every epoch, so that each has a new best checkpoint."""

    def process(self, data_batch, data_samples) -> None:
        self.results.append(0)

    def compute_metrics(self, results: list) -> dict[str, float]:
        iteration = MessageHub.get_current_instance().get_info("iter")
        return dict(epoch_accuracy=(iteration + 1) // EPOCH)


def image_config(root: Path) -> Config:
    """3 epochs on 40 digits; one checkpoint and the best one are kept."""
    cfg = Config.fromfile(CONFIGS / "image/digits/vit-mini_dyt-fixed_digits.py")
    pipeline = cfg.train_dataloader.dataset.pipeline
    pipeline.insert(2, dict(type="RandomCrop", crop_size=28, padding=3))
    data = dict(batch_size=10, dataset=dict(data_root=str(root)))
    cfg.merge_from_dict(
        dict(
            model=dict(backbone=dict(arch=TINY_ARCH, init_cfg=None), head=dict(in_channels=32)),
            train_dataloader=data | dict(dataset=data["dataset"] | dict(indices=40)),
            val_dataloader=data | dict(dataset=data["dataset"] | dict(indices=10)),
            val_evaluator=dict(_delete_=True, type="EpochMetric"),
            train_cfg=dict(max_epochs=3, val_interval=1),
            default_hooks=dict(checkpoint=dict(max_keep_ckpts=1, save_best="epoch_accuracy")),
        )
    )
    return cfg


def video_config(root: Path) -> Config:
    """3 epochs on 16 MP4 files; two checkpoints are kept."""
    cfg = Config.fromfile(CONFIGS / "video/demo/dyt_vit-mini_motion.py")
    prefix = dict(data_prefix=dict(video=str(root)))
    cfg.merge_from_dict(
        dict(
            model=dict(backbone=dict(arch=TINY_ARCH, init_cfg=None), cls_head=dict(in_channels=32)),
            train_dataloader=dict(
                batch_size=4, dataset=prefix | dict(ann_file=str(root / "train.txt"))
            ),
            val_dataloader=dict(
                batch_size=4, dataset=prefix | dict(ann_file=str(root / "test.txt"))
            ),
            train_cfg=dict(max_epochs=3, val_interval=3),
            default_hooks=dict(checkpoint=dict(max_keep_ckpts=2)),
        )
    )
    return cfg


def segmentation_config(root: Path) -> Config:
    """12 iterations on 10 scenes, with every random transform of the recipes."""
    cfg = Config.fromfile(CONFIGS / "segmentation/demo/dyt_vit-mini_fcn_fashion-scenes.py")
    load, annotations, *_, pack = cfg.train_dataloader.dataset.pipeline
    pipeline = [
        load,
        annotations,
        dict(type="RandomResize", scale=(48, 48), ratio_range=(0.7, 1.5), keep_ratio=True),
        dict(type="RandomCrop", crop_size=(32, 32), cat_max_ratio=0.75),
        dict(type="RandomFlip", prob=0.5),
        dict(type="PhotoMetricDistortion"),
        pack,
    ]
    data = dict(batch_size=2, dataset=dict(data_root=str(root)))
    cfg.merge_from_dict(
        dict(
            model=dict(
                data_preprocessor=dict(size=(32, 32)),
                backbone=dict(arch=TINY_ARCH, init_cfg=None, img_size=32, out_indices=[0, 1, 2]),
                decode_head=dict(in_channels=[32] * 3, in_index=[0, 1, 2], channels=8),
            ),
            train_dataloader=data | dict(dataset=data["dataset"] | dict(pipeline=pipeline)),
            val_dataloader=data,
            train_cfg=dict(max_iters=3 * EPOCH, val_interval=3 * EPOCH),
            default_hooks=dict(checkpoint=dict(interval=EPOCH, max_keep_ckpts=1)),
        )
    )
    return cfg


def write_scenes(root: Path, size: int = 32) -> None:
    """Write noise with rectangles of five classes, in the layout of the demo's scenes."""
    rng = np.random.default_rng(0)
    for split, number in (("train", 10), ("test", 2)):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for index in range(number):
            mask = np.kron(rng.integers(0, 5, (4, 4)), np.ones((size // 4, size // 4)))
            image = rng.integers(0, 50, (size, size, 3)) + 40 * mask[..., None]
            for kind, array in (("images", image), ("masks", mask)):
                path = root / kind / split / f"{index}.png"
                Image.fromarray(array.astype(np.uint8)).save(path)


def prepared(cfg: Config, work_dir: Path, hooks: str, workers: int = 0, resume: bool = False):
    """Copy a config for one run.

    Args:
        hooks: ``'mmdyt'``: as our configs have them. ``'mmengine'``: its own alone.
    """
    cfg = Config(cfg.to_dict(), format_python_code=False)  # formatting takes seconds
    cfg.work_dir, cfg.resume, cfg.log_level = str(work_dir), resume, "ERROR"
    cfg.train_dataloader.num_workers = workers
    cfg.test_dataloader, cfg.test_evaluator = cfg.val_dataloader, cfg.val_evaluator
    if hooks == "mmengine":
        cfg.default_hooks.checkpoint.type = "CheckpointHook"
        cfg.custom_hooks = []
    return cfg


class Teller(Hook):
    """Tell the parent where training starts and which checkpoints are saved for good."""

    priority = "LOWEST"

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe

    def before_train(self, runner) -> None:
        (self.saver,) = (hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
        self._told = self.saver.last_ckpt
        os.write(self.pipe, f"start {runner.iter}\n".encode())

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self._tell()

    def after_train_epoch(self, runner) -> None:
        self._tell()

    def _tell(self) -> None:
        if self.saver.last_ckpt != self._told:
            self._told = self.saver.last_ckpt
            os.write(self.pipe, f"saved {step_of(Path(self._told))}\n".encode())


@dataclass
class Outcome:
    """How a forked run ended.

    Args:
        status: Exit status, negative for a signal.
        start: Iteration at which its training started, ``None`` if it did not.
        saved: Step of its last checkpoint that was saved for good, 0 for none.
        seconds: From the start of the training to the end of the process.
        log: What it printed.
    """

    status: int
    start: int | None
    saved: int
    seconds: float
    log: str


def run_forked(cfg: Config, hooks: Sequence[Hook] = (), kill_after: float | None = None) -> Outcome:
    """Train in a child of this process, which has imported everything.

    Args:
        cfg: The config.
        hooks: Further hooks.
        kill_after: Seconds from the start of the training to a SIGKILL.
            Defaults to ``None``: none.
    """
    with tempfile.TemporaryFile() as log:
        return _run_forked(cfg, hooks, kill_after, log)


def _run_forked(cfg: Config, hooks: Sequence[Hook], kill_after: float | None, log) -> Outcome:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        _in_child(log.fileno(), lambda: _train(cfg, [*hooks, Teller(writer)]))
    os.close(writer)
    told = os.read(reader, 1)  # waits for the start of the training, or the end
    started = time.monotonic()
    if told and kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - started
    os.set_blocking(reader, False)  # data workers of a killed run may still hold the pipe
    lines = (told + os.read(reader, 1 << 16)).decode().split("\n") if told else []
    os.close(reader)
    log.seek(0)
    values: dict[str, int] = {}
    for line in lines:
        if " " in line:
            values[line.split()[0]] = int(line.split()[1])
    return Outcome(
        os.waitstatus_to_exitcode(status),
        values.get("start"),
        values.get("saved", 0),
        seconds,
        log.read().decode(errors="replace"),
    )


def _in_child(log: int, function: Callable[[], None]) -> None:
    status = 1
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        function()
        status = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


def _train(cfg: Config, hooks: Sequence[Hook]) -> None:
    torch.set_num_threads(1)
    runner = Runner.from_cfg(cfg)
    for hook in hooks:
        runner.register_hook(hook)
    runner.train()


def step_of(path: Path) -> int:
    """Read the number in ``epoch_3.pth`` or ``iter_12.pth``."""
    return int(path.stem.rsplit("_", 1)[1])


def checkpoints(work_dir: Path) -> dict[int, Path]:
    """Find the resumable checkpoints of a run that are whole, by their steps."""
    found = [*work_dir.glob("epoch_*.pth"), *work_dir.glob("iter_*.pth")]
    return {step_of(path): path for path in found if is_complete(path)}


def torn_files(work_dir: Path) -> list[str]:
    """Name the files of a killed run that a reader would take for whole ones."""
    torn = [path.name for path in work_dir.glob("[!.]*.pth") if not is_complete(path)]
    pointer = work_dir / POINTER
    if pointer.exists() and not Path(pointer.read_text()).is_file():
        torn.append(POINTER)
    return sorted(torn)


def listing(work_dir: Path) -> list[str]:
    """Name all files of a run but its logs and its config."""
    return sorted(p.name for p in work_dir.iterdir() if p.is_file() and p.suffix != ".py")


def result(work_dir: Path) -> dict:
    """Load what a finished run leaves: weights, optimiser, schedules, best weights."""
    loaded = {}
    for path in work_dir.glob("[!.]*.pth"):
        checkpoint = torch.load(path, weights_only=False) if is_complete(path) else {}
        keys = ("state_dict", "optimizer", "param_schedulers")
        loaded[path.name] = {key: checkpoint[key] for key in keys if key in checkpoint}
    return loaded


def equal(one, other) -> bool:
    """Compare nested dicts and lists of tensors and values, to the last bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other
