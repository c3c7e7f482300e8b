"""Cut the small set of Fashion-MNIST items that comes with the repository.

``assets/fashion_items.npz`` holds real items of Fashion-MNIST (Xiao, Rasul and
Vollgraf, 2017; MIT licence), the first of each class of either split, as
``train_images``, ``train_labels``, ``test_images`` and ``test_labels``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from mmpretrain.datasets import FashionMNIST

from mmdyt.engine.cli import tool
from mmdyt.fileio import atomic_path


def first_of_each_class(
    images: np.ndarray, labels: np.ndarray, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """Select the first ``number`` items of every class, in their order."""
    chosen = np.sort(
        np.concatenate([np.flatnonzero(labels == label)[:number] for label in np.unique(labels)])
    )
    return images[chosen], labels[chosen]


@tool
def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", default="data/fashion_mnist", help="folder of idx files")
    parser.add_argument("--out", type=Path, default=Path("assets/fashion_items.npz"))
    args = parser.parse_args()
    arrays = {}
    for split, number in (("train", 80), ("test", 30)):
        samples = FashionMNIST(data_root=args.data_root, split=split, download=False)
        data = [samples.get_data_info(index) for index in range(len(samples))]
        images = np.stack([np.asarray(one["img"], dtype=np.uint8) for one in data])
        labels = np.array([one["gt_label"] for one in data], dtype=np.uint8)
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = first_of_each_class(
            images, labels, number
        )
    with atomic_path(args.out) as path:
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    print(f"{args.out}: {args.out.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
