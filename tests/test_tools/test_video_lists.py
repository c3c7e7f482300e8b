"""The list converter reports every unreadable file at once and lists the rest."""

import json

import pytest

from mmdyt.datasets.video_motion import write_motion_videos
from tools.dataset_converters.video_lists import hmdb_split, main, sthv2_json

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


def test_class_folders(root, tmp_path, run_main):
    with pytest.raises(SystemExit, match="2 unreadable videos") as ended:
        run_main(main, "folders", root / "videos", tmp_path / "list.txt", "--workers", 1)
    message = str(ended.value)
    assert "run/empty.mp4 is empty" in message and "walk/text.avi does not" in message
    lines = (tmp_path / "list.txt").read_text().splitlines()
    assert lines == ["run/0.mp4 0", "run/2.mp4 0", "walk/1.mp4 1", "walk/3.mp4 1"]


def test_paths_with_the_delimiter_are_refused(root, tmp_path, run_main):
    options = ("--workers", 1, "--delimiter", "u")
    with pytest.raises(SystemExit, match=r"dataset\.delimiter"):
        run_main(main, "folders", root / "videos", tmp_path / "list.txt", *options)
    assert not (tmp_path / "list.txt").exists()


def test_hmdb_splits_and_something_something(root, tmp_path):
    (tmp_path / "run_test_split1.txt").write_text("a.avi 1 \nb.avi 2 \nc.avi 0 \n")
    (tmp_path / "walk_test_split1.txt").write_text("d.avi 1 \n")
    assert hmdb_split(root, tmp_path, 1, "train") == [("run/a.avi", 0), ("walk/d.avi", 1)]
    assert hmdb_split(root, tmp_path, 1, "test") == [("run/b.avi", 0)]
    labels, videos = tmp_path / "labels.json", tmp_path / "train.json"
    labels.write_text(json.dumps({"Closing something": "7"}))
    videos.write_text(json.dumps([{"id": "12", "template": "Closing [something]"}]))
    assert sthv2_json(labels, videos) == [("12.webm", 7)]
