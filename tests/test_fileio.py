"""Files are whole or absent, readable by those whom the umask lets, and leave no temporaries."""

import os
import signal
import time

import pytest
import torch

from mmdyt.fileio import AtomicBackend, atomic_path, load_from_safetensors, save_safetensors


def test_files_get_the_mode_that_the_umask_leaves(tmp_path):
    old = os.umask(0o027)
    try:
        save_safetensors(tmp_path / "a.safetensors", {"weight": torch.ones(2)}, {"epoch": 1})
        AtomicBackend().put_text("text", tmp_path / "b.txt")
    finally:
        os.umask(old)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"a.safetensors": 0o640, "b.txt": 0o640}
    loaded = load_from_safetensors(str(tmp_path / "a.safetensors"))
    assert loaded["meta"] == {"epoch": 1}
    assert torch.equal(loaded["state_dict"]["weight"], torch.ones(2))


def test_what_killed_writers_left_is_removed_at_the_next_write(tmp_path):
    if not (child := os.fork()):
        with atomic_path(tmp_path / "epoch_1.pth") as path:
            path.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    (left,) = tmp_path.iterdir()
    host = left.name.split(".writing-")[1].rsplit("-", 1)[0]
    kept = [
        tmp_path / f".epoch_2.writing-{host}-{os.getppid()}.pth",  # its writer lives
        tmp_path / ".epoch_3.writing-other.host-1.pth",  # of another host, written to just now
        tmp_path / ".hidden.pth",  # not ours
    ]
    old = tmp_path / ".epoch_4.writing-other.host-1.pth"
    for path in (*kept, old):
        path.write_text("half")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (two_days_ago, two_days_ago))
    with atomic_path(target := tmp_path / "epoch_1.pth") as path:
        path.write_text("whole")
    assert sorted(tmp_path.iterdir()) == sorted([*kept, target])
    assert target.read_text() == "whole"


def test_an_error_of_writing_names_the_file_and_keeps_the_old_one(tmp_path):
    resource = pytest.importorskip("resource")
    target = tmp_path / "epoch_1.pth"
    target.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # like a disk that fills up
    try:
        with pytest.raises(OSError, match=r"epoch_1\.pth"):
            AtomicBackend().put(b"x" * 2000, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
