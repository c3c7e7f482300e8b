"""Small classification tasks of real photographs, from lists and clones of public repositories.

A list is a CSV of ``split,source,label,box,rotation``: the photograph inside
the folder of clones, optionally a window of it (``left top right bottom`` in
pixels) and a turn in degrees counter-clockwise.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from rich.progress import track

from mmdyt.datasets.preflight import IMAGE_ERRORS, Problem
from mmdyt.fileio import atomic_path

COLUMNS = ["split", "source", "label", "box", "rotation"]
SPLITS = ("train", "val", "test")
# VTAB-1K's names, also for a task of fewer images.
LIST_FILES = {
    "train800.txt": ("train",),
    "val200.txt": ("val",),
    "train800val200.txt": ("train", "val"),
    "test.txt": ("test",),
}


@dataclass(frozen=True)
class PhotoSample:
    """One line of a list.

    Args:
        split: ``'train'``, ``'val'`` or ``'test'``.
        source: Path of the photograph inside the folder of clones.
        label: Class, from 0.
        box: Window ``(left, top, right, bottom)`` in pixels; ``None``: all.
        rotation: Degrees counter-clockwise, a multiple of 90.
    """

    split: str
    source: str
    label: int
    box: tuple[int, int, int, int] | None
    rotation: int

    @property
    def altered(self) -> bool:
        """Whether the image is not the photograph's file as it is."""
        return self.box is not None or self.rotation != 0


def read_list(path: str | Path) -> list[PhotoSample]:
    """Read a list.

    Args:
        path: A CSV file.

    Returns:
        Its samples.

    Raises:
        ValueError: Naming the first line that is wrong.
    """
    with open(path, newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != COLUMNS:
            raise ValueError(
                f"{path} has the columns {reader.fieldnames}, it should have {COLUMNS}"
            )
        samples = []
        for row in reader:
            try:
                if None in row or None in row.values():
                    raise ValueError(f"has not {len(COLUMNS)} columns")
                samples.append(_sample(row))
            except ValueError as error:
                raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
    return samples


def _sample(row: dict[str, str]) -> PhotoSample:
    corners = tuple(int(corner) for corner in row["box"].split())
    rotation = int(row["rotation"] or 0)
    label = int(row["label"])
    if row["split"] not in SPLITS:
        raise ValueError(f"split {row['split']!r} is none of {list(SPLITS)}")
    if label < 0:
        raise ValueError(f"label {label} is negative")
    if len(corners) not in (0, 4):
        raise ValueError(f"box {row['box']!r} has not four corners")
    if rotation % 90:
        raise ValueError(f"rotation {rotation} is no multiple of 90")
    return PhotoSample(row["split"], row["source"], label, corners or None, rotation)  # type: ignore[arg-type]


def find_source_problems(samples: Sequence[PhotoSample], sources: Path) -> list[Problem]:
    """Decode all photographs and look where the windows lie.

    Args:
        samples: The samples.
        sources: Folder of the clones.

    Returns:
        One problem a file or window that cannot be used.
    """

    def problems(sample: PhotoSample) -> Iterator[Problem]:
        path = sources / sample.source
        if not path.is_file():
            yield Problem(sample.source, "missing", "missing")
            return
        try:
            with Image.open(path) as image:
                image.load()
        except IMAGE_ERRORS as error:
            yield Problem(sample.source, "unreadable", f"unreadable ({error})")
            return
        if sample.box is not None:
            left, top, right, bottom = sample.box
            width, height = image.size
            if not (0 <= left < right <= width and 0 <= top < bottom <= height):
                detail = f"box {sample.box} is outside the image of {width} x {height}"
                yield Problem(sample.source, "box", detail)

    with ThreadPoolExecutor() as pool:
        found = track(
            pool.map(lambda sample: list(problems(sample)), samples),
            "Checking the photographs",
            total=len(samples),
            transient=True,
        )
        return list(dict.fromkeys(problem for each in found for problem in each))


def write_photo_task(samples: Sequence[PhotoSample], sources: Path, root: Path) -> None:
    """Write a task as ``images/*.jpg`` and VTAB-1K's four list files, the lists last.

    Where one image is cut or turned all are stored anew: how a file was compressed must not
    tell of its class.

    Args:
        samples: The samples, free of problems.
        sources: Folder of the clones.
        root: Folder of the task; files of the same names are replaced.
    """
    paths = [f"images/{index:05d}.jpg" for index in range(len(samples))]
    copied = not any(sample.altered for sample in samples)
    for sample, path in track(list(zip(samples, paths)), f"Writing {root}", transient=True):
        with atomic_path(root / path) as temporary:
            if copied:
                shutil.copyfile(sources / sample.source, temporary)
            else:
                _write_image(sample, sources / sample.source, temporary)
    for name, splits in LIST_FILES.items():
        lines = [f"{p} {s.label}\n" for p, s in zip(paths, samples) if s.split in splits]
        with atomic_path(root / name) as temporary:
            temporary.write_text("".join(lines))


def _write_image(sample: PhotoSample, source: Path, target: Path) -> None:
    """Cut and turn the photograph and store it at high quality."""
    with Image.open(source) as image:
        window = image.convert("RGB").crop(sample.box) if sample.box else image.convert("RGB")
    turned = window.rotate(sample.rotation, expand=True)
    turned.save(target, quality=95, subsampling=0)
