"""Composed scenes: exact masks, real items, the same files every time."""

import numpy as np
from mmengine.config import Config
from PIL import Image

from mmdyt.datasets import fashion_scenes
from mmdyt.datasets.fashion_scenes import (
    CLASS_OF_ITEM,
    CLASSES,
    PALETTE,
    compose_scene,
    item_outline,
    write_fashion_scenes,
)

ITEMS = "assets/fashion_items.npz"


def test_the_mask_is_what_was_pasted():
    """A square of one brightness on textures shows up in the mask pixel by pixel."""
    items = np.zeros((4, 28, 28), np.uint8)
    items[:, 4:20, 6:22] = 255
    labels = np.array([0, 1, 7, 8])  # one item of each class
    for seed in range(20):
        image, mask = compose_scene(items, labels, np.random.default_rng(seed))
        assert image.shape == mask.shape == (64, 64)
        assert (image[mask > 0] == 255).all()
        assert (image[mask == 0] < 255).all()
        counts = np.bincount(mask.ravel(), minlength=len(CLASSES))[1:]
        assert 1 <= counts.sum() // 256 <= 4 and (counts % 256 == 0).all()


def test_an_outline_has_no_holes():
    item = np.zeros((28, 28), np.uint8)
    item[5:15, 5:15] = 200
    item[8:10, 8:10] = 0
    assert item_outline(item).sum() == 100


def test_the_shipped_items_cover_every_class_of_both_splits():
    with np.load(ITEMS) as arrays:
        for split in ("train", "test"):
            images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
            assert images.shape == (len(labels), 28, 28) and images.dtype == np.uint8
            assert set(np.asarray(CLASS_OF_ITEM)[labels]) == set(range(len(CLASSES)))


def test_writing_is_reproducible_and_keeps_what_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_scenes, "NUM_SCENES", {"train": 2, "test": 1})
    for name in ("a", "b"):
        write_fashion_scenes(tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.png"))
    assert len(files) == 6
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    own = tmp_path / "a" / "images" / "train" / "0000.png"
    Image.new("L", (64, 64)).save(own)
    write_fashion_scenes(tmp_path / "a")
    assert np.asarray(Image.open(own)).max() == 0


def test_the_config_has_the_classes_of_the_scenes():
    metainfo = Config.fromfile("configs/_base_/datasets/segmentation_fashion_scenes.py").metainfo
    assert tuple(metainfo.classes) == CLASSES and metainfo.palette == PALETTE
