"""Pascal VOC's XML becomes COCO annotations, and every file that cannot is named."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from mmdyt.datasets.voc import voc_to_coco
from tests.conftest import REPO

CLASSES = ["red", "white"]
BOX = "<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"


def write(root: Path, name: str, *objects: tuple, size=(40, 30)) -> None:
    """One image of 40 x 30 px with objects ``(class, corners)``, added to the list."""
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    text = "".join(
        f"<object><name>{label}</name><bndbox>{BOX.format(*corners)}</bndbox></object>"
        for label, corners in objects
    )
    shape = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    xml = f"<annotation>{shape}{text}</annotation>"
    (root / f"Annotations/{name}.xml").write_text(xml)
    Image.new("RGB", (40, 30)).save(root / f"JPEGImages/{name}.jpg")
    with (root / "ImageSets/Main/train.txt").open("a") as file:
        file.write(f"{name}\n")


def test_boxes_are_converted_cut_and_left_out(tmp_path):
    write(tmp_path, "a", ("white", (2, 3, 12, 8)), ("red", (-5, 20, 10, 33)))
    write(tmp_path, "b")
    write(tmp_path, "c", ("red", (7, 7, 7, 7)), ("red", (50, 3, 60, 9)))
    content, wrong, odd = voc_to_coco(tmp_path, "train", CLASSES)
    assert wrong == []
    assert [image["file_name"] for image in content["images"]] == ["a.jpg", "b.jpg", "c.jpg"]
    boxes = [(ann["image_id"], ann["category_id"], ann["bbox"]) for ann in content["annotations"]]
    assert boxes == [(1, 2, [2, 3, 10, 5]), (1, 1, [0, 20, 10, 10])]
    assert [ann["area"] for ann in content["annotations"]] == [50, 100]
    assert [(problem.sample, problem.kind) for problem in odd] == [
        ("a", "cut"),
        ("c", "left out"),
        ("c", "left out"),
    ]


def spoil(root: Path, name: str, how: str) -> None:
    xml, image = root / f"Annotations/{name}.xml", root / f"JPEGImages/{name}.jpg"
    if how == "no xml":
        xml.unlink()
    elif how == "no image":
        image.unlink()
    elif how == "broken xml":
        xml.write_text("<annotation><size>")
    elif how == "broken image":
        image.write_bytes(image.read_bytes()[:100])
    elif how == "no number":
        xml.write_text(xml.read_text().replace("<xmax>9</xmax>", ""))
    elif how == "twice":
        with (root / "ImageSets/Main/train.txt").open("a") as file:
            file.write(f"{name}\n")


SPOILED = {
    "no xml": "Annotations/a.xml is missing",
    "no image": "JPEGImages/a.jpg is missing",
    "broken xml": "Annotations/a.xml is no XML",
    "broken image": "a.xml or a.jpg is unreadable",
    "no number": "a.xml or a.jpg is unreadable (could not convert string to float",
    "twice": "is listed 2 times in train.txt",
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_file_that_cannot_be_used_is_named(tmp_path, how):
    write(tmp_path, "a", ("red", (1, 1, 9, 9)))
    spoil(tmp_path, "a", how)
    _, wrong, _ = voc_to_coco(tmp_path, "train", CLASSES)
    assert [problem.sample for problem in wrong] == ["a"]
    assert SPOILED[how] in wrong[0].detail


def test_sizes_and_classes_must_fit(tmp_path):
    write(tmp_path, "a", size=(40, 31))
    write(tmp_path, "b", ("blue", (1, 1, 9, 9)))
    _, wrong, _ = voc_to_coco(tmp_path, "train", CLASSES)
    assert [problem.detail for problem in wrong] == [
        "a.xml says (40, 31), a.jpg has (40, 30)",
        "'blue' is none of ['red', 'white']",
    ]


def test_the_tool_writes_all_lists_or_none(tmp_path):
    write(tmp_path, "a", ("red", (1, 1, 9, 9)), ("white", (3, 3, 3, 3)))
    command = [sys.executable, "tools/dataset_converters/voc_to_coco.py", str(tmp_path)]

    def convert(out: str, *args: str) -> subprocess.CompletedProcess:
        full = [*command, str(tmp_path / out), *args]
        env = dict(PYTHONPATH=str(REPO), PATH="/usr/bin:/bin")
        return subprocess.run(full, cwd=REPO, capture_output=True, text=True, env=env)

    done = convert("out", "--classes", "red", "white", "--splits", "train")
    assert "1 boxes in 1 images" in done.stdout and "white [3.0, 3.0, 3.0, 3.0]" in done.stdout
    assert len(json.loads((tmp_path / "out/train.json").read_text())["annotations"]) == 1
    refused = convert("no", "--classes", "red", "--splits", "train")
    assert refused.returncode == 1 and "'white' is none of ['red']" in refused.stderr
    assert "has ['train']" in convert("no", "--classes", "red", "--splits", "val").stderr
    assert not (tmp_path / "no").exists()
