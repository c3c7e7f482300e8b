"""Preflight: one report of everything in a task's lists that would stop a run."""

import json
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from PIL import Image

from mmdyt.datasets.preflight import find_problems, report
from mmdyt.datasets.video_motion import write_motion_videos
from tests.conftest import CONFIGS, TINY_ARCH

LISTS = ("train800", "val200", "train800val200", "test")


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 10), (90, 60, 30)).save(path)


def write_vtab_task(root: Path) -> None:
    """Six images per list in VTAB-1K's layout, labels 0 to 5."""
    for name in LISTS:
        paths = [f"images/{name}/{index}.jpg" for index in range(6)]
        for path in paths:
            write_image(root / path)
        lines = [f"{path} {label}\n" for label, path in enumerate(paths)]
        (root / f"{name}.txt").write_text("".join(lines))


@pytest.fixture
def vtab(tmp_path):
    """A VTAB-1K config's data sets on a task of six images per list."""
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


@pytest.fixture
def scenes(tmp_path):
    """A segmentation set of six images and masks, 12 x 10 px, in memory order."""
    pytest.importorskip("mmseg")
    from mmseg.datasets import BaseSegDataset

    for index in range(6):
        write_image(tmp_path / f"images/{index}.png")
        mask = Image.new("L", (12, 10), index)
        (tmp_path / "masks").mkdir(exist_ok=True)
        mask.save(tmp_path / f"masks/{index}.png")

    def build(**options):
        return BaseSegDataset(
            data_root=str(tmp_path),
            data_prefix=dict(img_path="images", seg_map_path="masks"),
            img_suffix=".png",
            pipeline=[],
            **options,
        )

    return tmp_path / "masks", build


def test_every_mask_is_looked_at(scenes):
    masks, build = scenes
    assert find_problems(build(), num_classes=6) == []
    assert [p.sample for p in find_problems(build(), num_classes=5)] == [str(masks / "5.png")]
    # Label 0 becomes the ignored one, 5 becomes 4.
    assert find_problems(build(reduce_zero_label=True), num_classes=5) == []
    assert len(find_problems(build(reduce_zero_label=True), num_classes=4)) == 1
    Image.new("L", (12, 10), 255).save(masks / "0.png")
    assert find_problems(build(), num_classes=6) == []
    assert "[255]" in find_problems(build(), num_classes=6, ignore_index=9)[0].detail
    Image.new("L", (10, 12), 0).save(masks / "1.png")
    Image.new("RGB", (12, 10)).save(masks / "2.png")
    (masks / "3.png").write_bytes((masks / "3.png").read_bytes()[:50])
    (masks / "4.png").unlink()
    found = find_problems(build(), num_classes=6)
    assert [(Path(problem.sample).name, problem.kind) for problem in found] == [
        ("1.png", "size"),
        ("2.png", "size"),
        ("3.png", "unreadable"),
        ("4.png", "missing"),
    ]
    assert "images/4.png" in found[3].detail, "the image that lacks it is named"


def test_of_a_large_set_a_sample_is_decoded(scenes):
    """Every second of six; the presence of the others is looked at all the same."""
    masks, build = scenes
    for index in (1, 2):
        (masks / f"{index}.png").write_bytes(b"no image")
    (masks / "3.png").unlink()
    found = find_problems(build(), num_classes=6, max_decode=3)
    assert [Path(problem.sample).name for problem in found] == ["2.png", "3.png"]


def test_videos_are_decoded_and_training_may_allow_some_to_be_bad(tmp_path):
    pytest.importorskip("decord")
    from mmdyt.engine.hooks import PreflightHook
    from mmdyt.integrations.mmaction import SkippingVideoDataset

    write_motion_videos(tmp_path, num_train=6, num_test=0)
    files = sorted((tmp_path / "videos").iterdir())

    def build(**options):
        prefix = dict(video=str(tmp_path))
        list_file = str(tmp_path / "train.txt")
        return SkippingVideoDataset(list_file, [], data_prefix=prefix, **options)

    assert find_problems(build(), num_classes=8) == []
    files[1].write_bytes(b"")
    files[4].write_bytes(files[4].read_bytes()[:-200])
    problems = find_problems(build(), num_classes=8)
    assert [(problem.sample, problem.kind) for problem in problems] == [
        (str(files[1]), "unreadable"),
        (str(files[4]), "unreadable"),
    ]
    allowed = PreflightHook._are_allowed
    assert allowed(build(max_unreadable_share=0.4), problems)
    assert not allowed(build(max_unreadable_share=0.2), problems)
    assert not allowed(build(max_unreadable_share=0.4, test_mode=True), problems)
    assert [p.kind for p in find_problems(build(), num_classes=5)].count("label") == 1


def test_a_test_looks_at_its_own_data(digits_cfg, tmp_path):
    write_vtab_task(tmp_path / "task")
    (tmp_path / "task/images/test/3.jpg").write_bytes(b"no image")
    test_set = digits_cfg.test_dataloader.dataset
    test_set.data_root, test_set.indices = str(tmp_path / "task"), None
    with pytest.raises(ValueError, match=r"1 bad sample: .*images/test/3.jpg: unreadable"):
        Runner.from_cfg(digits_cfg).test()
