"""Look through COCO annotations before anything is trained on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mmdyt.datasets.preflight import Problem

MIN_SIDE = 1.0  # pixels; mmdetection drops boxes below it


def wrong_references(content: dict[str, Any], classes: Sequence[str]) -> list[Problem]:
    """List what no training can make sense of.

    Args:
        content: An annotation file: ``images``, ``annotations``, ``categories``.
        classes: The classes of the config.

    Returns:
        Classes that the file lacks (mmdetection would give their numbers to
        others), categories that the config lacks, and annotations of categories
        or images that the file does not list.
    """
    names = {category["id"]: category["name"] for category in content.get("categories", [])}
    images = {image["id"]: image["file_name"] for image in content["images"]}
    found = [
        Problem(f"class {name!r}", "class", f"is not in the file, which has {[*names.values()]}")
        for name in classes
        if name not in names.values()
    ]
    for ann in content.get("annotations", []):
        category, image = ann["category_id"], ann["image_id"]
        sample = images.get(image, f"annotation {ann['id']}")
        if image not in images:
            found.append(Problem(sample, "image", f"is of image {image}, which is not listed"))
        if category not in names:
            known = dict(sorted(names.items()))
            found.append(Problem(sample, "category", f"category {category} is none of {known}"))
        elif names[category] not in classes:
            detail = f"category {category} ({names[category]!r}) is none of {list(classes)}"
            found.append(Problem(sample, "category", detail))
    return found


def odd_boxes(content: dict[str, Any]) -> list[Problem]:
    """List what a training passes over or cuts.

    Args:
        content: As :func:`wrong_references` takes it, and finds nothing in.

    Returns:
        Boxes without area, boxes that lie outside their image in whole or in
        part, and images without objects.
    """
    images = {image["id"]: image for image in content["images"]}
    empty = dict.fromkeys(images)
    found = []
    for ann in content.get("annotations", []):
        image = images[ann["image_id"]]
        empty.pop(ann["image_id"], None)
        for kind, detail in _oddities(ann["bbox"], image["width"], image["height"]):
            found.append(Problem(image["file_name"], kind, detail))
    without = (Problem(images[key]["file_name"], "no objects", "has no objects") for key in empty)
    return found + list(without)


def _oddities(box: Sequence[float], width: int, height: int) -> Iterator[tuple[str, str]]:
    left, top, wide, high = box
    if wide < MIN_SIDE or high < MIN_SIDE:
        yield "zero-area", f"box {list(box)} has no area"
    if left < 0 or top < 0 or left + wide > width or top + high > height:
        yield "outside", f"box {list(box)} leaves the image of {width} x {height}"
