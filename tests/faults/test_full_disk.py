"""On a full disk a run stops with a named error, loses nothing, and resumes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from mmengine.hooks import Hook

from tests.faults.reference import HOOKS
from tests.faults.runs import prepared, run_forked
from tests.faults.tally import Tally

pytestmark = pytest.mark.faults


class FillHook(Hook):
    """Fill the disk but for some bytes when a checkpoint is about to be written."""

    priority = "HIGHEST"

    def __init__(self, filler: Path, save: int, left: int) -> None:
        self.filler, self.save, self.left = filler, save, left

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        self.save -= 1
        if not self.save:
            disk = os.statvfs(self.filler.parent)
            self.filler.write_bytes(bytes(disk.f_bavail * disk.f_frsize - self.left))


@pytest.fixture
def disk(tmp_path):
    """A file system of 8 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no file system can be mounted here (root can): {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("host", ["image", "video", "segmentation"])
@pytest.mark.parametrize("hooks", HOOKS)
def test_full_disk(references, host, hooks, disk, tally: Tally):
    reference, folder, filler = references[host], disk / "run", disk / "filler"
    left = reference.checkpoint_size(hooks) // 2
    fill = FillHook(filler, save=4 if host == "image" else 2, left=left)
    stopped = run_forked(prepared(reference.cfg, folder, hooks), [fill])
    assert stopped.status == 1 and stopped.saved, stopped.log[-3000:]
    if hooks == "mmdyt":
        told = [line for line in stopped.log.splitlines() if line.startswith("OSError: ")][-1]
        assert "No space left on device, the checkpoint was not saved; " in told
        assert "stands, and --resume goes on from it: " in told and str(folder) in told
        assert not list(folder.glob(".*")), "no part of a file stays"
    found = reference.fate(hooks, folder, 0, stopped, filler.unlink)
    tally.add("full disk", hooks, found[0])
    assert hooks == "mmengine" or found[0].good, found[1]
