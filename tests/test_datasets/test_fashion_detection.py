"""Boxes and masks of a scene are those of what was pasted."""

import json

import numpy as np

from mmdyt.datasets import fashion_scenes
from mmdyt.datasets.fashion_detection import run_lengths, scene_objects, write_fashion_detection


def test_every_quadrant_with_an_item_is_an_object():
    mask = np.zeros((8, 8), np.uint8)
    mask[1:3, 0:4] = 2
    mask[5, 6] = 4
    first, second = scene_objects(mask)
    assert (first["category_id"], first["bbox"], first["area"]) == (2, [0, 1, 4, 2], 8)
    assert (second["category_id"], second["bbox"], second["area"]) == (4, [6, 5, 1, 1], 1)
    assert scene_objects(np.zeros((8, 8), np.uint8)) == []


def test_run_lengths_go_down_the_columns_and_start_with_zeros():
    assert run_lengths(np.array([[0, 1], [0, 1]], bool)) == dict(size=[2, 2], counts=[2, 2])
    assert run_lengths(np.array([[1, 1], [0, 1]], bool))["counts"] == [0, 1, 1, 2]


def test_the_files_hold_the_masks_areas(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_scenes, "NUM_SCENES", numbers := {"train": 3, "test": 2})
    monkeypatch.setattr("mmdyt.datasets.fashion_detection.NUM_SCENES", numbers)
    write_fashion_detection(tmp_path)
    content = json.loads((tmp_path / "train.json").read_text())
    assert len(content["images"]) == 3
    assert [each["name"] for each in content["categories"]] == ["top", "trouser", "shoe", "bag"]
    for ann in content["annotations"]:
        assert sum(ann["segmentation"]["counts"][1::2]) == ann["area"]
        left, top, width, height = ann["bbox"]
        assert 0 < ann["area"] <= width * height and left + width <= 64 and top + height <= 64
