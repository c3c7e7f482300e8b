"""Wrong input ends in one error of a few lines that names it, and in a failure."""

import os
import runpy
import sys
import traceback
from pathlib import Path

import pytest
import torch

from mmdyt.compat import heal_mmaction
from mmdyt.engine.cli import SHOW_TRACEBACK
from tests.conftest import REPO
from tests.faults.bad_files import prepare
from tests.faults.bad_inputs import CASES, PAGE, Case, page_with_table

MAX_LINES = 27  # of an error, its hint included


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The files that the commands name; all libraries are imported once, for all of them."""
    pytest.importorskip("mmseg")
    heal_mmaction()
    import mmdyt.integrations.mmaction
    import mmdyt.integrations.mmseg  # noqa: F401

    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    root = tmp_path_factory.mktemp("bad")
    prepare(root)
    return root


def run(case: Case, root: Path) -> tuple[int, str]:
    """Run a command in a fork of this process; return its exit status and stderr."""
    tool, *args = case.command.split()
    path = str(REPO / "tools" / tool)
    log = root / "stderr.txt"
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), log.read_text()
    status = 1
    try:
        with open(log, "w") as sys.stderr, open(os.devnull, "w") as sys.stdout:
            os.dup2(sys.stderr.fileno(), 2)
            os.dup2(sys.stdout.fileno(), 1)
            os.chdir(root)
            sys.path.insert(0, str(Path(path).parent))
            sys.argv = [path, *args]
            try:
                runpy.run_path(path, run_name="__main__")
                status = 0
            except SystemExit as stop:  # what the interpreter does with it
                status = stop.code if isinstance(stop.code, int) else 1
                print("" if isinstance(stop.code, int) else stop.code, file=sys.stderr)
            except BaseException:
                traceback.print_exc()
    finally:
        os._exit(status)


def told(stderr: str) -> list[str]:
    """The lines of an error, from the one that begins it."""
    lines = stderr.splitlines()
    first = next((i for i, line in enumerate(lines) if "error: " in line), len(lines))
    return lines[first:]


@pytest.mark.faults
def test_every_bad_input_is_named(folder, monkeypatch):
    for name in (SHOW_TRACEBACK, "RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    wrong = []
    for case in CASES:
        status, stderr = run(case, folder)
        lines = told(stderr)
        first = lines[0].partition("error: ")[2].replace(f"{folder}/", "") if lines else ""
        if status == 0 or first != case.error or "Traceback" in stderr or len(lines) > MAX_LINES:
            wrong.append(f"{case.command}\n  exit {status}: {first}\n  expected: {case.error}")
    assert not wrong, "\n".join(wrong)


def test_there_are_many_bad_inputs_and_the_page_lists_them():
    assert len(CASES) >= 60 and len({case.command for case in CASES}) == len(CASES)
    assert PAGE.read_text() == page_with_table(PAGE.read_text()), (
        "python -m tests.faults.bad_inputs writes the table"
    )
