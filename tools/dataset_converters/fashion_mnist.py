"""Unpack Fashion-MNIST's four idx files to where the configs look for them.

Debian and Ubuntu ship them: ``apt-get install dataset-fashion-mnist``.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

from rich.progress import track

from mmdyt.engine.cli import tool
from mmdyt.fileio import atomic_path

FILES = [
    f"{split}-{kind}-ubyte"
    for split in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
]


def unpack(source: Path, root: Path) -> None:
    """Unpack the files; those that are there are kept.

    Args:
        source: Folder with the four ``.gz`` files.
        root: Folder to write to.

    Raises:
        FileNotFoundError: If files are missing in ``source``.
    """
    missing = [name for name in FILES if not (source / f"{name}.gz").is_file()]
    if missing:
        raise FileNotFoundError(
            f"{source} lacks {', '.join(f'{name}.gz' for name in missing)}. {__doc__}"
        )
    for name in track(FILES, "Unpacking", transient=True):
        if not (root / name).exists():
            with atomic_path(root / name) as temporary:
                temporary.write_bytes(gzip.decompress((source / f"{name}.gz").read_bytes()))


@tool
def main() -> None:
    """Unpack them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--root", type=Path, default=Path("data/fashion_mnist"))
    args = parser.parse_args()
    unpack(args.source, args.root)


if __name__ == "__main__":
    main()
