"""Preflight: one report of everything in a task's lists that would stop a run."""

import json
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from PIL import Image

from mmdyt.datasets.preflight import find_problems, report
from tests.conftest import CONFIGS, TINY_ARCH

LISTS = ("train800", "val200", "train800val200", "test")


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 10), (90, 60, 30)).save(path)


def write_vtab_task(root: Path) -> None:
    """Six images a list in VTAB-1K's layout, labels 0 to 5."""
    for name in LISTS:
        paths = [f"images/{name}/{index}.jpg" for index in range(6)]
        for path in paths:
            write_image(root / path)
        lines = [f"{path} {label}\n" for label, path in enumerate(paths)]
        (root / f"{name}.txt").write_text("".join(lines))


@pytest.fixture
def vtab(tmp_path):
    """A VTAB-1K config's data sets on a task of six images a list."""
    write_vtab_task(tmp_path)
    config = Config.fromfile(CONFIGS / "image/vtab1k/clevr_dist/vit-b16_dyt.py")

    def build(loader: str):
        return DATASETS.build({**config[loader].dataset, "data_root": str(tmp_path)})

    return tmp_path, build, config.model.head.num_classes


def test_a_sound_task_passes(vtab):
    _, build, num_classes = vtab
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        dataset = build(loader)
        assert len(dataset) == 6
        assert find_problems(dataset, num_classes) == []
        assert dataset[0]["inputs"].shape == (3, 224, 224)


def test_every_listed_file_is_looked_at(vtab):
    """Each file in turn is spoilt, and each time exactly that one is reported."""
    root, build, num_classes = vtab
    dataset = build("test_dataloader")
    for index in range(6):
        path = root / f"images/test/{index}.jpg"
        sound = path.read_bytes()
        path.write_bytes(sound[: len(sound) // 2])
        assert [found[:2] for found in find_problems(dataset, num_classes)] == [
            (str(path), "unreadable")
        ]
        path.unlink()
        assert [found[:2] for found in find_problems(dataset, num_classes)] == [
            (str(path), "missing")
        ]
        path.write_bytes(sound)


def test_a_sample_may_have_two_problems_and_the_report_counts_both(vtab):
    root, build, _ = vtab
    (root / "images/test/5.jpg").unlink()
    (root / "images/test/0.jpg").unlink()
    problems = find_problems(build("test_dataloader"), num_classes=5)
    assert [found.kind for found in problems] == ["missing", "label", "missing"]
    text = report(problems, "test_dataloader")
    assert text.startswith("test_dataloader has 2 bad samples (2 missing, 1 label):")
    assert "5.jpg: label 5 is outside [0, 5)" in text


def test_a_long_report_is_cut_but_counts_all(vtab):
    _, build, _ = vtab
    problems = find_problems(build("train_dataloader"), num_classes=1)
    text = report(problems, "train_dataloader", shown=2)
    assert "5 bad samples" in text and text.endswith("... and 3 more")


def test_files_of_json_splits_are_checked_alike(tmp_path):
    (tmp_path / "train.json").write_text(json.dumps({"a.jpg": 7, "b.jpg": 9, "c.jpg": 12}))
    for name in ("a.jpg", "c.jpg"):
        write_image(tmp_path / "images" / name)
    dataset = DATASETS.build(
        dict(type="mmdyt.JsonSplit", data_root=str(tmp_path), data_prefix="images")
    )
    assert [found.kind for found in find_problems(dataset, num_classes=2)] == ["missing", "label"]


def test_a_broken_test_list_stops_the_run_before_it_trains(digits_cfg, tmp_path):
    """The test list is another one than the validation's: it is checked as well."""
    write_vtab_task(tmp_path / "task")
    (tmp_path / "task/images/test/3.jpg").unlink()
    test_set = digits_cfg.test_dataloader.dataset
    test_set.data_root, test_set.indices = str(tmp_path / "task"), None
    runner = Runner.from_cfg(digits_cfg)
    with pytest.raises(
        ValueError, match=r"test_dataloader has 1 bad sample: .*images/test/3.jpg: missing"
    ):
        runner.train()
    assert not list(Path(runner.work_dir).glob("*.pth"))


def test_a_vtab_config_trains_on_its_layout(tmp_path):
    """The config itself, but for a tiny model, a batch of three and one epoch."""
    write_vtab_task(tmp_path / "task")
    config = Config.fromfile(CONFIGS / "image/vtab1k/clevr_dist/vit-b16_dyt.py")
    loader = dict(
        batch_size=3,
        num_workers=0,
        pin_memory=False,
        dataset=dict(data_root=str(tmp_path / "task")),
    )
    config.model.backbone.update(arch=TINY_ARCH, patch_size=56, init_cfg=None)
    config.model.head.in_channels = 32
    config.merge_from_dict(
        dict(
            work_dir=str(tmp_path / "run"),
            log_level="ERROR",
            train_cfg=dict(max_epochs=1, val_interval=1),
            **{f"{part}_dataloader": loader for part in ("train", "val", "test")},
        )
    )
    runner = Runner.from_cfg(config)
    runner.train()
    assert {"accuracy/top1", "dispatch/gflops"} <= set(runner.test())
    assert runner.optim_wrapper.param_groups[0]["lr"] < 1e-3, "one of ten epochs of warm-up"
