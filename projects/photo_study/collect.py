"""Gather what the report needs from the finished runs of the photo study.

Adds to the committed ``records.json.gz``, of which it keeps what still fits the suites;
``python -m projects.photo_study.report`` renders the page. Token maps show photographs, which
are not committed: ``token_maps_<task>.jpg`` of four tasks, and ``token_maps.jpg`` with one
photograph of each, go to ``work_dirs/photo_study/``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

import mmdyt
from mmdyt.engine.cli import tool
from mmdyt.engine.run_spec import SuiteRun
from mmdyt.engine.suite import Suite
from mmdyt.fileio import atomic_path
from mmdyt.models.utils import collect_dispatch
from projects.study.pictures import draw_masks
from projects.study.records import write_records

HERE = Path("projects/photo_study")
FOLDER = HERE / "results"
PICTURES = Path("work_dirs/photo_study")
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


def save_picture(name: str, figure: Figure) -> None:
    """Save token maps, outside of what is committed."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with atomic_path(PICTURES / f"{name}.jpg") as path:
        figure.savefig(path, dpi=80, pil_kwargs=dict(quality=85))


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
    shown: dict[str, tuple[NDArray, NDArray]] = {}
    for run in suites["study"].runs(PICTURED, ["dyt"], [0]):
        if run.status() == "done":
            images = read_photographs(Path(run.config().test_dataloader.dataset.data_root), IMAGES)
            masks = token_masks(run, images)
            save_picture(f"token_maps_{run.task}", draw_masks(images, masks))
            pick = [len(shown)]  # another for each: two tasks share their photographs
            shown[suites["study"].tasks[run.task]["title"]] = images[pick], masks[:, pick]
    if len(shown) == len(PICTURED):
        images, masks = zip(*shown.values(), strict=True)
        figure = draw_masks(np.concatenate(images), np.concatenate(masks, axis=1), list(shown))
        save_picture("token_maps", figure)


if __name__ == "__main__":
    main()
