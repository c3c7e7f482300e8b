"""The list converter reports every unreadable file at once and lists the rest."""

import json
import os
import subprocess
import sys

import pytest

from mmdyt.datasets.video_motion import write_motion_videos
from tests.conftest import REPO

pytest.importorskip("decord")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two class folders with two good videos each, and two broken files."""
    root = tmp_path_factory.mktemp("lists")
    write_motion_videos(root / "made", num_train=4, num_test=0)
    for index, video in enumerate(sorted((root / "made/videos").iterdir())):
        target = root / "videos" / ("run", "walk")[index % 2] / f"{index}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(video.read_bytes())
    (root / "videos/run/empty.mp4").touch()
    (root / "videos/walk/text.avi").write_text("no video")
    return root


def convert(*args: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "tools/dataset_converters/video_lists.py", *map(str, args)],
        cwd=REPO,
        env=os.environ | {"PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
    )


def test_class_folders(root, tmp_path):
    result = convert("folders", root / "videos", tmp_path / "list.txt", "--workers", 1)
    assert result.returncode == 1
    assert "2 unreadable videos" in result.stderr
    assert "run/empty.mp4 is empty" in result.stderr and "walk/text.avi does not" in result.stderr
    lines = (tmp_path / "list.txt").read_text().splitlines()
    assert lines == ["run/0.mp4 0", "run/2.mp4 0", "walk/1.mp4 1", "walk/3.mp4 1"]


def test_paths_with_the_delimiter_are_refused(root, tmp_path):
    options = ("--workers", 1, "--delimiter", "u")
    result = convert("folders", root / "videos", tmp_path / "list.txt", *options)
    assert result.returncode == 1 and "dataset.delimiter" in result.stderr
    assert not (tmp_path / "list.txt").exists()


def test_hmdb_splits_and_something_something(root, tmp_path):
    sys.path.insert(0, str(REPO / "tools/dataset_converters"))
    try:
        from video_lists import hmdb_split, sthv2_json
    finally:
        sys.path.pop(0)
    (tmp_path / "run_test_split1.txt").write_text("a.avi 1 \nb.avi 2 \nc.avi 0 \n")
    (tmp_path / "walk_test_split1.txt").write_text("d.avi 1 \n")
    assert hmdb_split(root, tmp_path, 1, "train") == [("run/a.avi", 0), ("walk/d.avi", 1)]
    assert hmdb_split(root, tmp_path, 1, "test") == [("run/b.avi", 0)]
    labels, videos = tmp_path / "labels.json", tmp_path / "train.json"
    labels.write_text(json.dumps({"Closing something": "7"}))
    videos.write_text(json.dumps([{"id": "12", "template": "Closing [something]"}]))
    assert sthv2_json(labels, videos) == [("12.webm", 7)]
