"""Splits as JSON: labels are the ranks of the training split's classes."""

import json

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS
from PIL import Image

from tests.conftest import CONFIGS

# NABirds' numbers have gaps; those of the test split lack one class of the training split.
SPLITS = {
    "train": {"b/1.jpg": 817, "a/1.jpg": 295, "c/1.jpg": 1010},
    "val": {"c/2.jpg": 1010},
    "test": {"c/3.jpg": 1010, "b/3.jpg": 817},
}


def write(root, splits=SPLITS, prefix="images"):
    for split, samples in splits.items():
        (root / f"{split}.json").write_text(json.dumps(samples))
        for shade, name in enumerate(samples):
            path = root / prefix / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (30, 20), (shade, 0, 0)).save(path)


def json_split(root, **overrides):
    config = dict(type="mmdyt.JsonSplit", data_root=str(root), data_prefix="images") | overrides
    return DATASETS.build(config)


def test_labels_are_ranks_of_the_training_classes_in_every_split(tmp_path):
    write(tmp_path)
    labels = {split: json_split(tmp_path, split=split).get_gt_labels() for split in SPLITS}
    assert {split: list(values) for split, values in labels.items()} == {
        "train": [1, 0, 2],
        "val": [2],
        "test": [2, 1],
    }


@pytest.mark.parametrize("classes", [[0, 1, 2], [1, 2, 3], ["crow", "jay", "wren"]])
def test_any_numbering_gives_labels_from_zero(tmp_path, classes):
    write(tmp_path, {"train": {f"{each}.jpg": each for each in classes}})
    assert list(json_split(tmp_path).get_gt_labels()) == [0, 1, 2]


def test_a_class_that_was_never_trained_is_refused(tmp_path):
    write(tmp_path, SPLITS | {"test": {"d/1.jpg": 4}})
    with pytest.raises(ValueError, match=r"test\.json: 1 classes are not in train\.json: \[4\]"):
        json_split(tmp_path, split="test")


def test_a_missing_or_malformed_file_is_named(tmp_path):
    write(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"extra\.json is missing"):
        json_split(tmp_path, split="extra")
    (tmp_path / "val.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match=r"val\.json must hold an object of image path to class"):
        json_split(tmp_path, split="val")


@pytest.mark.parametrize("name", ["cub", "nabirds", "flowers", "dogs", "cars"])
def test_the_configs_read_the_layout(tmp_path, name):
    config = Config.fromfile(CONFIGS / f"image/fgvc/{name}/vit-b16_dyt.py")
    write(tmp_path, prefix=config.source.get("data_prefix", ""))
    for split in SPLITS:
        dataset = config[f"{split}_dataloader"].dataset
        dataset.data_root = str(tmp_path)
        built = DATASETS.build(dataset)
        assert len(built) == len(SPLITS[split])
        sample = built[0]
        assert sample["inputs"].shape == (3, 224, 224)
        assert np.isin(sample["data_samples"].gt_label.item(), [0, 1, 2])
