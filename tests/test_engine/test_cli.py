"""The wrapper of the tools: few lines for a person, the traceback for who wants it."""

import logging
import subprocess
import sys

import pytest
import torch
from mmengine.logging import MMLogger
from torch.utils.data import DataLoader, Dataset

from mmdyt.engine.cli import SHOW_TRACEBACK, describe, require_writable, tool
from tests.conftest import REPO


class Bad(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        raise ValueError("images/3.png: the mask is odd\nand more of it")


def fail(error: BaseException):
    def main():
        raise error

    return tool(main)


def test_an_error_is_one_line_and_a_hint(monkeypatch):
    with pytest.raises(SystemExit) as stop:
        fail(ValueError("model.dyt.target_rate is 3"))()
    first, hint = str(stop.value).splitlines()
    assert first == "error: model.dyt.target_rate is 3" and hint.startswith("(")
    with pytest.raises(SystemExit, match=r"^error: no videos$"):
        fail(SystemExit("no videos"))()
    with pytest.raises(SystemExit) as stop:
        fail(SystemExit(130))()
    assert stop.value.code == 130
    monkeypatch.setenv(SHOW_TRACEBACK, "0")
    with pytest.raises(SystemExit, match="0 shows no traceback"):
        fail(ValueError("0 shows no traceback"))()
    monkeypatch.setenv(SHOW_TRACEBACK, "1")
    with pytest.raises(ValueError):
        fail(ValueError("as it is"))()


def test_what_libraries_put_around_a_message_goes():
    assert describe(KeyError("AdamX is not registered")) == "AdamX is not registered"
    assert describe(FileNotFoundError(2, "No such file", "a.pth")) == "a.pth: No such file"
    built = "class `Runner` in mmengine/runner.py: class `DyTViT` in mmdyt/vit.py: depth is 0"
    assert describe(ValueError(built)) == "depth is 0"
    with pytest.raises(ValueError) as caught:
        next(iter(DataLoader(Bad(), num_workers=1)))
    assert describe(caught.value) == "images/3.png: the mask is odd\nand more of it"


def test_what_may_be_a_bug_keeps_its_type_and_place():
    try:
        torch.zeros(2) + torch.zeros(3)
    except RuntimeError as error:
        text = describe(error)
    assert text.startswith("RuntimeError: The size of tensor a") and f"({__file__}:" in text
    long = describe(ValueError("\n".join(map(str, range(99)))))
    assert len(long.splitlines()) == 26 and long.endswith("... and 74 more lines")


def test_the_traceback_goes_into_the_log_of_the_run(tmp_path):
    log = tmp_path / "run.log"
    logger = MMLogger.get_instance("cli-test", log_file=str(log), log_level="ERROR")
    try:
        with pytest.raises(SystemExit, match="the traceback is in"):
            fail(ValueError("after hours"))()
    finally:
        MMLogger._instance_dict.pop("cli-test")
        for handler in logger.handlers:
            handler.close()
        logging.shutdown()
    written = next(tmp_path.rglob("*.log")).read_text()
    assert "Traceback (most recent call last)" in written and "after hours" in written


def test_a_file_that_cannot_be_written_is_refused_before(tmp_path):
    (tmp_path / "file").touch()
    require_writable(tmp_path / "new/out.json", "--out", (".json",))
    assert list((tmp_path / "new").iterdir()) == []
    for path in ("file/out.json", "new", "out.txt"):
        with pytest.raises(ValueError, match="--out"):
            require_writable(tmp_path / path, "--out", (".json",) if path != "new" else ())


def test_a_real_process_prints_no_traceback(tmp_path):
    command = [sys.executable, "tools/model_converters/timm_to_mmdyt.py", "none.pth", "out.pth"]
    done = subprocess.run(
        command,
        cwd=REPO,
        env={"PYTHONPATH": str(REPO), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2:] == [
        "error: no checkpoint at none.pth",
        f"({SHOW_TRACEBACK}=1 shows where)",
    ]
