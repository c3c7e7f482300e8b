"""Draw the README's token maps: a tuned DyT model on photographs that are free to show.

The photographs of the tasks are not committed. These are scikit-image's: Stefan van der Walt's cat
and Rachel Michetti's coffee (CC0), SpaceX's rocket and NASA's astronaut (public domain).

    config=configs/image/photo/cifar10/vit-s14_dyt.py
    python tools/train.py $config --work-dir work_dirs/photographs
    python -m projects.photo_study.photographs work_dirs/photographs/adapter.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import skimage.data
import torch
from numpy.typing import NDArray
from PIL import Image

import mmdyt
from mmdyt.engine.cli import tool
from mmdyt.fileio import atomic_path
from mmdyt.models.utils import collect_dispatch
from mmdyt.visualization import draw_token_maps
from projects.photo_study.collect import FOLDER, normalised

PICTURE = FOLDER / "photographs.jpg"
# Left and top of the square of each photograph that is shown, and its side.
SQUARES = {
    "chelsea": (75, 0, 300),
    "rocket": (200, 60, 367),
    "coffee": (150, 20, 350),
    "astronaut": (0, 0, 400),
}


def read_squares(size: int = 98) -> NDArray:
    """Cut and scale the photographs: ``(B, size, size, 3)``, uint8."""
    squares = []
    for name, (left, top, side) in SQUARES.items():
        photograph = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
        square = photograph.crop((left, top, left + side, top + side))
        squares.append(np.asarray(square.resize((size, size), Image.Resampling.BICUBIC)))
    return np.stack(squares)


@tool
@torch.inference_mode()
def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("adapter", type=Path, help="adapter file of DyT tuned on CIFAR-10")
    model = mmdyt.load_adapter(parser.parse_args().adapter)
    classes: list[str] = model.dataset_meta["classes"]  # type: ignore[index, union-attr, assignment]
    images = read_squares()
    with collect_dispatch(model) as records:
        scores = model(normalised(images)).softmax(dim=-1)
    figure = draw_token_maps(images, records, grid=(7, 7), captions=list(SQUARES))
    with atomic_path(PICTURE) as path:
        figure.savefig(path, dpi=110, pil_kwargs=dict(quality=85))
    said = zip(SQUARES, (classes[index] for index in scores.argmax(dim=-1)), strict=True)
    print(f"{PICTURE}; said:", ", ".join(f"{answer} of {name}" for name, answer in said))


if __name__ == "__main__":
    main()
