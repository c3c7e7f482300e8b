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
        others) or has in another order (it numbers them in the file's),
        categories that the config lacks, and annotations of categories or images
        that the file does not list, or without box or area.
    """
    names = {category["id"]: category["name"] for category in content.get("categories", [])}
    images = {image["id"]: image["file_name"] for image in content["images"]}
    found = [
        Problem(f"class {name!r}", "class", f"is not in the file, which has {[*names.values()]}")
        for name in classes
        if name not in names.values()
    ]
    numbered = [name for name in names.values() if name in classes]
    if not found and numbered != list(classes):
        detail = f"stand as {numbered} in the file, whose order counts, and as {list(classes)} here"
        found.append(Problem("classes", "order", detail))
    for ann in content.get("annotations", []):
        category, image = ann["category_id"], ann["image_id"]
        sample = images.get(image, f"annotation {ann['id']}")
        if len(ann.get("bbox", ())) != 4 or "area" not in ann:
            detail = f"needs bbox and area, and has {ann.get('bbox')} and {ann.get('area')}"
            found.append(Problem(sample, "box", detail))
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
        Boxes without area, boxes that are to be ignored, boxes that lie outside
        their image in whole or in part, and images without objects to train on.
    """
    images = {image["id"]: image for image in content["images"]}
    empty = dict.fromkeys(images)
    found = []
    for ann in content.get("annotations", []):
        image = images[ann["image_id"]]
        size = image["width"], image["height"]
        for kind, detail in _oddities(ann, *size):
            found.append(Problem(image["file_name"], kind, detail))
        if _trains(ann, *size):
            empty.pop(ann["image_id"], None)
    without = (Problem(images[key]["file_name"], "no objects", "has no objects") for key in empty)
    return found + list(without)


def _trains(ann: dict[str, Any], width: int, height: int) -> bool:
    """Whether mmdetection trains on a box."""
    left, top, wide, high = ann["bbox"]
    inside = min(left + wide, width) > max(left, 0) and min(top + high, height) > max(top, 0)
    return inside and min(wide, high) >= MIN_SIDE and ann["area"] > 0 and not ann.get("ignore")


def _oddities(ann: dict[str, Any], width: int, height: int) -> Iterator[tuple[str, str]]:
    left, top, wide, high = box = list(ann["bbox"])
    if wide < MIN_SIDE or high < MIN_SIDE or ann["area"] <= 0:
        yield "zero-area", f"box {box} is below {MIN_SIDE:g} pixel, or its area {ann['area']} is 0"
    if ann.get("ignore"):
        yield "ignored", f"box {box} is marked to be ignored"
    if left < 0 or top < 0 or left + wide > width or top + high > height:
        yield "outside", f"box {box} leaves the image of {width} x {height}"
