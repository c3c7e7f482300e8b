"""Pascal VOC's XML as COCO annotations, every file checked on the way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from PIL import Image

from mmdyt.datasets.coco_checks import MIN_SIDE
from mmdyt.datasets.preflight import IMAGE_ERRORS, Problem


class UnusableFile(ValueError):
    """An XML or image file that cannot be converted."""


def voc_to_coco(
    root: Path, split: str, classes: Sequence[str], suffix: str = ".jpg"
) -> tuple[dict[str, Any], list[Problem], list[Problem]]:
    """Convert one split of a data set in Pascal VOC's layout.

    Corners are taken as they are written: a box is ``xmax - xmin`` wide. Boxes
    that leave their image are cut, those without area are left out. Objects that
    are marked as difficult count neither in training (``ignore``) nor, as VOC has
    it, in a test (``iscrowd``, which pycocotools reads).

    Args:
        root: Folder with ``Annotations``, ``JPEGImages`` and ``ImageSets/Main``.
        split: Name of a list in ``ImageSets/Main``.
        classes: Classes in the order of their category ids, which start at 1.
        suffix: Ending of the images. Defaults to ``'.jpg'``.

    Returns:
        The content of an annotation file; what makes it unusable (missing,
        unreadable or twice listed files, sizes that differ, unknown classes, none);
        and the boxes that were cut or left out.
    """
    content: dict[str, Any] = dict(
        images=[],
        annotations=[],
        categories=[dict(id=index, name=name) for index, name in enumerate(classes, start=1)],
    )
    wrong: list[Problem] = []
    odd: list[Problem] = []
    lines = (root / "ImageSets/Main" / f"{split}.txt").read_text().splitlines()
    names = [line.split()[0] for line in lines if line.strip()]
    if not names:
        wrong.append(Problem(f"{split}.txt", "empty", "lists no image"))
    wrong += [
        Problem(label, "class", "is given twice")
        for label in dict.fromkeys(classes)
        if classes.count(label) > 1
    ]
    wrong += [
        Problem(name, "twice", f"is listed {names.count(name)} times in {split}.txt")
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    for index, name in enumerate(names, start=1):
        image = root / "JPEGImages" / f"{name}{suffix}"
        try:
            size, boxes = _read(root / "Annotations" / f"{name}.xml", image)
        except UnusableFile as error:
            wrong.append(Problem(name, "file", str(error)))
            continue
        content["images"].append(
            dict(id=index, file_name=image.name, width=size[0], height=size[1])
        )
        for label, corners, difficult in boxes:
            if label not in classes:
                wrong.append(Problem(name, "class", f"{label!r} is none of {list(classes)}"))
                continue
            box = _cut(corners, size)
            if box[2] < MIN_SIDE or box[3] < MIN_SIDE:
                odd.append(Problem(name, "left out", f"{label} {corners} has no area inside"))
                continue
            if [box[0], box[1], box[0] + box[2], box[1] + box[3]] != corners:
                odd.append(Problem(name, "cut", f"{label} {corners} leaves the image of {size}"))
            annotation = dict(
                id=len(content["annotations"]) + 1,
                image_id=index,
                category_id=classes.index(label) + 1,
                bbox=box,
                area=box[2] * box[3],
                iscrowd=int(difficult),
            )
            content["annotations"].append(annotation | (dict(ignore=1) if difficult else {}))
    return content, wrong, odd


def _read(
    path: Path, image_path: Path
) -> tuple[tuple[int, int], list[tuple[str, list[float], bool]]]:
    """Read the image's size and its objects: class, corners, whether it is difficult."""
    try:
        tree = ElementTree.parse(path).getroot()
        with Image.open(image_path) as image:
            size = image.size
            image.load()
        written = tuple(int(tree.findtext(f"size/{side}", "-1")) for side in ("width", "height"))
        boxes = [
            (
                each.findtext("name", "").strip(),
                [_number(each, end) for end in ("xmin", "ymin", "xmax", "ymax")],
                each.findtext("difficult", "0").strip() == "1",
            )
            for each in tree.findall("object")
        ]
    except FileNotFoundError as error:
        raise UnusableFile(f"{error.filename} is missing") from error
    except ElementTree.ParseError as error:
        raise UnusableFile(f"{path} is no XML ({error})") from error
    except IMAGE_ERRORS as error:
        raise UnusableFile(f"{path.name} or {image_path.name} is unreadable ({error})") from error
    if written != size:
        raise UnusableFile(f"{path.name} says {written}, {image_path.name} has {size}")
    return size, boxes


def _number(node: ElementTree.Element, end: str) -> float:
    number = float(node.findtext(f"bndbox/{end}", "missing"))
    if not math.isfinite(number):
        raise ValueError(f"{end} is {number}")
    return number


def _cut(corners: Sequence[float], size: tuple[int, int]) -> list[float]:
    """Cut corners ``x1, y1, x2, y2`` to an image; give ``x, y, width, height``."""
    width, height = size
    left, right = (min(max(x, 0), width) for x in corners[::2])
    top, bottom = (min(max(y, 0), height) for y in corners[1::2])
    return [left, top, right - left, bottom - top]
