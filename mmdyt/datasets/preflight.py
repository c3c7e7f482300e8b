"""Look at every file of a data set before the first training step."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from rich.progress import track

# What Pillow raises for files that are no image, or not all of one.
IMAGE_ERRORS = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


class Problem(NamedTuple):
    """Something that would stop a run later.

    Args:
        sample: Path of the image, the mask or the video, or the sample's number.
        kind: ``'missing'``, ``'unreadable'``, ``'size'`` or ``'label'``.
        detail: What is wrong, for a person.
    """

    sample: str
    kind: str
    detail: str


def find_problems(
    dataset: Any,
    num_classes: int | None = None,
    max_decode: int | None = None,
    ignore_index: int = 255,
) -> list[Problem]:
    """List everything that would stop a run later.

    Images and masks are decoded, of videos the first and the last frame; a mask
    must have its image's size and the labels of the classes. This runs on all
    cores and shows its progress.

    Args:
        dataset: A data set of mmengine's interface: images with labels, images
            with masks, or videos. Of images in memory only the labels are
            checked, and data sets without ``get_data_info`` are passed over.
        num_classes: Labels must lie in ``[0, num_classes)``. Defaults to
            ``None``: not checked.
        max_decode: How many samples to decode at most, evenly spaced; the files
            of the others only have to be there. Defaults to ``None``: all.
        ignore_index: A label that masks may have beside them. Defaults to 255.

    Returns:
        The problems, in the order of the data set; a sample may have several.
    """
    if not hasattr(dataset, "get_data_info"):
        return []
    total = len(dataset)
    step = -(-total // max_decode) if max_decode else 1

    def problems(index: int) -> list[Problem]:
        sample = dataset.get_data_info(index)
        decode = index % step == 0
        return list(_problems(sample, index, num_classes, decode, ignore_index))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        checked = pool.map(problems, range(total))
        progress = track(checked, "Checking the data", total=total, transient=True)
        return [problem for found in progress for problem in found]


def _problems(
    sample: dict, index: int, num_classes: int | None, decode: bool, ignore_index: int
) -> Iterator[Problem]:
    """What is wrong with one sample."""
    checks: dict[str, Callable[[str], Problem | None]] = {}
    if "img_path" in sample:
        checks[sample["img_path"]] = image_problem
    if "filename" in sample:
        checks[sample["filename"]] = video_problem
    name = next(iter(checks), f"sample {index}")
    labels = sample.get("gt_label", sample.get("label"))
    if num_classes is not None and labels is not None:
        for label in np.atleast_1d(labels):  # multi-label data sets have several
            if not 0 <= int(label) < num_classes:
                yield Problem(name, "label", f"label {label} is outside [0, {num_classes})")
    if sample.get("seg_map_path"):  # mmdetection has the key without a mask
        checks[sample["seg_map_path"]] = partial(
            mask_problem, sample=sample, num_classes=num_classes, ignore_index=ignore_index
        )
    for path, check in checks.items():
        if "://" in path:  # remote storage has its own errors; looking there is not free
            continue
        if not Path(path).is_file():
            yield Problem(path, "missing", "missing" if path == name else f"missing, of {name}")
        elif decode and (problem := check(path)):
            yield problem


def image_problem(path: str) -> Problem | None:
    """Say what is wrong with an image, if anything."""
    try:
        with Image.open(path) as image:
            image.load()
    except IMAGE_ERRORS as error:
        return Problem(path, "unreadable", f"unreadable ({error})")
    return None


def mask_problem(
    path: str, sample: dict, num_classes: int | None, ignore_index: int
) -> Problem | None:
    """Say what is wrong with a segmentation mask, if anything.

    Args:
        path: The mask.
        sample: What mmsegmentation knows of it: ``img_path``, ``label_map`` and
            ``reduce_zero_label``.
        num_classes: Labels must lie in ``[0, num_classes)``; ``None``: not
            checked.
        ignore_index: The label of pixels that do not count.

    Returns:
        ``None`` for a mask that can be used.
    """
    try:
        with Image.open(path) as file:
            mask = np.asarray(file)
    except IMAGE_ERRORS as error:
        return Problem(path, "unreadable", f"unreadable ({error})")
    if mask.ndim != 2:
        return Problem(path, "size", f"a mask of shape {mask.shape}: it must have one channel")
    width, height = mask.shape[1], mask.shape[0]
    try:
        with Image.open(sample["img_path"]) as image:
            if image.size != (width, height):
                detail = f"{width} x {height}, its image is {image.size[0]} x {image.size[1]}"
                return Problem(path, "size", detail)
    except IMAGE_ERRORS:
        pass  # the image is reported by itself
    if num_classes is None:
        return None
    new = sample.get("label_map") or {}
    labels = {new.get(label, label) for label in np.unique(mask).tolist()}
    if sample.get("reduce_zero_label"):  # 0 is no class, 1 the first one
        labels = {label - 1 for label in labels - {0, ignore_index}}
    outside = sorted(label for label in labels - {ignore_index} if not 0 <= label < num_classes)
    if not outside:
        return None
    detail = (
        f"labels {outside[:10]} are outside [0, {num_classes}) and not ignore_index={ignore_index}"
    )
    return Problem(path, "label", f"{detail}; see num_classes and reduce_zero_label")


def video_problem(path: str) -> Problem | None:
    """Say what is wrong with a video, if anything.

    Args:
        path: A file that is there.

    Returns:
        ``None`` for a video whose first and last frame decode.
    """
    import decord  # comes with mmaction2, which image runs do not need

    try:
        if Path(path).stat().st_size == 0:
            return Problem(path, "unreadable", "is empty")
        reader = decord.VideoReader(path, num_threads=1)
        reader.get_batch([0, len(reader) - 1])
    except Exception as error:  # decord has no exception of its own to rely on
        cause = re.sub(r"^\[[\d:]+\] \S+: ", "", str(error).splitlines()[0])  # time and place
        return Problem(path, "unreadable", f"does not decode ({cause})")
    return None


def report(problems: Sequence[Problem], where: str, shown: int = 20) -> str:
    """Put problems into one message.

    Args:
        problems: What :func:`find_problems` found.
        where: What was checked, such as a config key.
        shown: How many to name at most. Defaults to 20.

    Returns:
        A line of counts, and one line a problem; a single problem takes one line.
    """
    if len(problems) == 1:
        return f"{where} has 1 bad sample: {problems[0].sample}: {problems[0].detail}"
    kinds = Counter(problem.kind for problem in problems)
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    lines = [f"{problem.sample}: {problem.detail}" for problem in problems[:shown]]
    if len(problems) > shown:
        lines.append(f"... and {len(problems) - shown} more")
    samples = len({problem.sample for problem in problems})
    return f"{where} has {samples} bad samples ({counts}):\n  " + "\n  ".join(lines)
