"""Gather what the report needs from the finished runs of the photo study.

Adds to the committed ``records.json.gz``, of which it keeps what still fits the suites, and
writes ``token_maps_<task>.jpg``; ``python -m projects.photo_study.report`` renders the page.
CIFAR-10's images have no licence and get no picture.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import mmdyt
from mmdyt.engine.cli import tool
from mmdyt.engine.run_spec import SuiteRun, fingerprint
from mmdyt.engine.suite import Suite
from mmdyt.fileio import atomic_path
from mmdyt.models.utils import collect_dispatch
from projects.study.pictures import draw_masks
from projects.study.study import Record

HERE = Path("projects/photo_study")
FOLDER = HERE / "results"
RECORDS = FOLDER / "records.json.gz"
SUITES = {
    "study": HERE / "configs/suites/photo_study.py",
    "lr": HERE / "configs/suites/photo_study_lr.py",
}
PICTURED = ("clothing", "sign_digits", "photo_orientation", "blood_cells")
MEAN, STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
IMAGES = 4


def read_photographs(root: Path, count: int, size: int = 98) -> NDArray:
    """Read test images of a task, evenly spaced over its list.

    Args:
        root: Folder of the task.
        count: How many.
        size: Of their sides, in pixels. Defaults to 98.

    Returns:
        ``(count, size, size, 3)``, uint8.
    """
    lines = (root / "test.txt").read_text().splitlines()
    paths = [lines[index * len(lines) // count].split()[0] for index in range(count)]
    photographs = [Image.open(root / path).convert("RGB") for path in paths]
    bicubic = Image.Resampling.BICUBIC
    return np.stack([np.asarray(photo.resize((size, size), bicubic)) for photo in photographs])


def normalised(images: NDArray) -> torch.Tensor:
    """Prepare images ``(B, H, W, 3)`` for a model, ``(B, 3, H, W)``."""
    return torch.from_numpy((images - MEAN) / STD).float().permute(0, 3, 1, 2)


@torch.inference_mode()
def token_masks(run: SuiteRun, images: NDArray) -> NDArray:
    """Let a tuned model decide on images.

    Args:
        run: A finished run with dispatch.
        images: ``(B, H, W, 3)``, uint8.

    Returns:
        Which patches were active, ``(L, B, N)``, bool, without prefix tokens.
    """
    model = mmdyt.load_adapter(run.work_dir / "adapter.safetensors")
    with collect_dispatch(model) as records:
        model(normalised(images))
    return np.stack([record.mask[:, record.num_prefix :].numpy() for record in records])


def read_records(path: Path) -> dict[str, list[Record]]:
    """Read records by suite."""
    return json.loads(gzip.decompress(path.read_bytes()))


def gather(suite: Suite, known: Sequence[Record]) -> list[Record]:
    """Take the records of all finished runs; of runs that are not here, the known ones.

    Args:
        suite: The suite, with the folder of its runs.
        known: Records of other machines or days; those of other configs are left out.

    Returns:
        The records, in the order of the suite.
    """
    by_run = {(r["task"], r["method"], r["seed"], r["fingerprint"]): r for r in known}
    found = []
    for run in suite.runs():
        wanted = run.task, run.method, run.seed, fingerprint(run.config())
        record = run.record() if run.status() == "done" else by_run.get(wanted)
        found += [record] if record else []
    return found


def write_records(suites: dict[str, Suite], path: Path) -> dict[str, int]:
    """Add the finished runs to a file of records; returns how many it has by suite."""
    known = read_records(path) if path.exists() else {}
    records = {name: gather(suite, known.get(name, [])) for name, suite in suites.items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(gzip.compress(json.dumps(records, sort_keys=True).encode(), mtime=0))
    return {name: len(each) for name, each in records.items()}


@tool
def main() -> None:
    """Write the records and the pictures that there are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="the study's sweep; default: the suite's own")
    parser.add_argument("--lr-out", type=Path, help="the learning rates' sweep; default: its own")
    args = parser.parse_args()
    folders = {"study": args.out, "lr": args.lr_out}
    suites = {name: Suite.fromfile(path, folders[name]) for name, path in SUITES.items()}
    print(write_records(suites, RECORDS), "records in", RECORDS)
    for run in suites["study"].runs(PICTURED, ["dyt"], [0]):
        if run.status() == "done":
            images = read_photographs(Path(run.config().test_dataloader.dataset.data_root), IMAGES)
            figure = draw_masks(images, token_masks(run, images))
            with atomic_path(FOLDER / f"token_maps_{run.task}.jpg") as path:
                figure.savefig(path, dpi=80, pil_kwargs=dict(quality=85))


if __name__ == "__main__":
    main()
