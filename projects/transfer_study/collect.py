"""Gather what the report needs from the finished sweeps of the transfer study.

Adds to the committed ``records.json.gz``, of which it keeps what still fits the suites, and
writes ``pictures.npz``;
``python -m projects.transfer_study.report`` renders them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import mmdyt
from mmdyt.engine.run_spec import SuiteRun
from mmdyt.engine.suite import Suite
from mmdyt.fileio import atomic_path
from mmdyt.models.utils import collect_dispatch
from projects.study.records import write_records

HERE = Path("projects/transfer_study")
FOLDER = HERE / "results"
RECORDS = FOLDER / "records.json.gz"
SAMPLES = 10
MAPPED = {"location": "dyt", "count": "dyt"}  # whose token maps are drawn


def read_samples(root: Path) -> tuple[NDArray, NDArray]:
    """Read the first test images of a task.

    Args:
        root: Folder of the task.

    Returns:
        Grey images, ``(B, 28, 28)``, uint8, and labels, ``(B,)``, int.
    """
    lines = [line.split() for line in (root / "test.txt").read_text().splitlines()[:SAMPLES]]
    images = [np.asarray(Image.open(root / path)) for path, _ in lines]
    return np.stack(images), np.array([int(label) for _, label in lines])


@torch.inference_mode()
def token_masks(run: SuiteRun, images: NDArray) -> NDArray:
    """Let a tuned model decide on images.

    Args:
        run: A finished run with dispatch.
        images: Grey images, ``(B, H, W)``, uint8.

    Returns:
        Which patches were active, ``(L, B, N)``, bool, without prefix tokens.
    """
    model = mmdyt.load_adapter(run.work_dir / "adapter.safetensors")
    grey = torch.from_numpy(images).float()  # (B, H, W)
    rgb = ((grey - 127.5) / 127.5)[:, None].expand(-1, 3, -1, -1)  # -> (B, 3, H, W)
    with collect_dispatch(model) as records:
        model(rgb)
    return np.stack([record.mask[:, record.num_prefix :].numpy() for record in records])


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="the study's sweep; default: the suite's own")
    parser.add_argument("--lr-out", type=Path, help="the learning rates' sweep; default: its own")
    args = parser.parse_args()
    suites = {
        "study": Suite.fromfile(HERE / "configs/suites/transfer_study.py", args.out),
        "lr": Suite.fromfile(HERE / "configs/suites/transfer_study_lr.py", args.lr_out),
    }
    print(write_records(suites, RECORDS), "records in", RECORDS)

    arrays = {}
    for name, task in suites["study"].tasks.items():
        root = Path(task["cfg_options"]["test_dataloader.dataset.data_root"])
        arrays[f"{name}_images"], arrays[f"{name}_labels"] = read_samples(root)
    for name, method in MAPPED.items():
        (run,) = suites["study"].runs([name], [method], [0])
        arrays[f"{name}_masks"] = token_masks(run, arrays[f"{name}_images"])
    with atomic_path(FOLDER / "pictures.npz") as path:
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
