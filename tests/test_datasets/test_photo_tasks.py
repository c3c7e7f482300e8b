"""Photograph tasks: the lists decide; what cannot be used is named before anything is written."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmpretrain.datasets import CustomDataset
from PIL import Image

from mmdyt.datasets.photo_tasks import read_list
from tests.conftest import REPO
from tools.dataset_converters import photo_tasks
from tools.dataset_converters.photo_tasks import LISTS, convert

HEAD = "split,source,label,box,rotation\n"
SIZES = {
    "cifar10": (800, 200, 2000, 10),
    "clothing": (800, 200, 713, 10),
    "sign_digits": (800, 200, 1062, 10),
    "blood_cells": (504, 126, 438, 3),
    "photo_orientation": (800, 200, 713, 4),
}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three photographs in a folder of clones, and a list of four samples."""
    rng = np.random.default_rng(0)
    for name in ("a/1.jpg", "a/2.jpg", "b/3.JPG"):
        path = tmp_path / "sources" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(256, size=(4, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((60, 40), Image.Resampling.BICUBIC).save(path, quality=95)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/task.csv").write_text(
        f"{HEAD}train,a/1.jpg,0,,\nval,a/2.jpg,1,10 5 40 25,\n"
        "test,b/3.JPG,1,,90\ntest,a/1.jpg,0,,0\n"
    )
    return tmp_path / "sources", tmp_path / "lists"


def test_photographs_are_copied_cut_and_turned(tmp_path, folders):
    sources, lists = folders
    (lists / "plain.csv").write_text(f"{HEAD}train,a/1.jpg,0,,\ntest,b/3.JPG,1,,0\n")
    convert(tmp_path / "out", sources, lists)
    root = tmp_path / "out/task"
    lines = {path.name: path.read_text().splitlines() for path in root.glob("*.txt")}
    assert lines == {
        "train800.txt": ["images/00000.jpg 0"],
        "val200.txt": ["images/00001.jpg 1"],
        "train800val200.txt": ["images/00000.jpg 0", "images/00001.jpg 1"],
        "test.txt": ["images/00002.jpg 1", "images/00003.jpg 0"],
    }
    plain = tmp_path / "out/plain/images/00000.jpg"
    assert plain.read_bytes() == (sources / "a/1.jpg").read_bytes()
    # Compression does not tell which images of a task were turned.
    assert (root / "images/00003.jpg").read_bytes() != (sources / "a/1.jpg").read_bytes()

    def pixels(path: Path) -> np.ndarray:
        return np.asarray(Image.open(path)).astype(int)

    window = pixels(sources / "a/2.jpg")[5:25, 10:40]
    assert np.abs(pixels(root / "images/00001.jpg") - window).mean() < 3
    turned = np.rot90(pixels(sources / "b/3.JPG"))  # counter-clockwise
    assert np.abs(pixels(root / "images/00002.jpg") - turned).mean() < 3
    dataset = CustomDataset(data_root=str(root), ann_file="test.txt", pipeline=[])
    assert [dataset.get_data_info(index)["gt_label"] for index in range(2)] == [1, 0]


def test_a_file_where_a_folder_goes_is_refused_before_anything_is_written(tmp_path, folders):
    out = tmp_path / "out"
    out.mkdir()
    (folders[1] / "last.csv").write_text(f"{HEAD}train,a/1.jpg,0,,\n")
    (out / "task").touch()
    with pytest.raises(NotADirectoryError, match="task is no folder"):
        convert(out, *folders)
    assert [path.name for path in out.iterdir()] == ["task"]


def test_everything_that_cannot_be_used_is_named_before_anything_is_written(
    tmp_path, folders, monkeypatch, run_main
):
    sources, lists = folders
    (sources / "b/3.JPG").write_bytes(b"no image")
    (lists / "other.csv").write_text(
        HEAD + "".join(f"train,c/{i}.jpg,0,,\n" for i in range(30)) + "test,a/1.jpg,0,0 0 61 40,\n"
    )
    monkeypatch.setattr(photo_tasks, "LISTS", lists)
    with pytest.raises(SystemExit) as error:
        run_main(photo_tasks.main, tmp_path / "out", "--sources", sources)
    told = str(error.value)
    assert "32 bad samples (30 missing, 1 box, 1 unreadable)" in told
    assert all(f"c/{i}.jpg: missing" in told for i in range(30))
    assert "a/1.jpg: box (0, 0, 61, 40) is outside the image of 60 x 40" in told
    assert not (tmp_path / "out").exists()
    with pytest.raises(FileNotFoundError, match="nowhere is no folder"):
        convert(tmp_path / "out", tmp_path / "nowhere", lists)


@pytest.mark.parametrize(
    "line, told",
    [
        ("dev,a,0,,", "split 'dev' is none of"),
        ("train,a,-1,,", "label -1 is negative"),
        ("train,a,0,1 2 3,", "has not four corners"),
        ("train,a,0,,45", "rotation 45"),
        ("train,a,0", "has not 5 columns"),
        ("train,a,zero,,", "invalid literal"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, told):
    (tmp_path / "list.csv").write_text(f"{HEAD}train,a,0,,\n{line}\n")
    with pytest.raises(ValueError, match=f"line 3: .*{told}"):
        read_list(tmp_path / "list.csv")
    (tmp_path / "list.csv").write_text("path,label\na,0\n")
    with pytest.raises(ValueError, match="columns"):
        read_list(tmp_path / "list.csv")


def test_the_shipped_lists_and_their_configs_agree():
    assert {path.stem for path in (REPO / LISTS).glob("*.csv")} == set(SIZES)
    for name, (*counts, num_classes) in SIZES.items():
        samples = read_list(REPO / LISTS / f"{name}.csv")
        by_split = [[s for s in samples if s.split == split] for split in ("train", "val", "test")]
        assert [len(each) for each in by_split] == counts, name
        assert {sample.label for sample in samples} == set(range(num_classes)), name
        if name != "blood_cells":  # one photograph has several cells
            assert len({sample.source for sample in samples}) == len(samples), name
        else:
            sources = [{sample.source for sample in each} for each in by_split]
            assert not (sources[0] | sources[1]) & sources[2]
        cfg = Config.fromfile(REPO / f"configs/_base_/tasks/photo/{name}.py")
        assert cfg.data_preprocessor.num_classes == num_classes
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            assert len(loader.dataset.metainfo.classes) == num_classes
            assert loader.dataset.data_root == f"data/photo/{name}"
