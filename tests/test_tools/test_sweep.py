"""The command line of tools/sweep.py, with real worker processes that really die."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from mmdyt.engine.suite_launchers.local import gpu_of
from tests.conftest import REPO


def start(suite: str, out: Path, *args: str) -> subprocess.Popen:
    """Start a sweep as a terminal does, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "tools/sweep.py", suite, "--out", str(out), *args],
        cwd=REPO,
        env=dict(os.environ, PYTHONPATH=str(REPO), COLUMNS="200"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A shell's background jobs ignore Ctrl-C, and so would what a test in one starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def record(out: Path, method: str) -> dict:
    return json.loads((out / "digits" / method / "seed0/record.json").read_text())


@pytest.mark.long
def test_a_sweep_outlives_killed_workers_and_failing_runs(suite, tmp_path):
    out = tmp_path / "out"
    sweep = start(suite, out)
    output, _ = sweep.communicate(timeout=300)
    assert sweep.returncode == 1, output
    assert "4 runs (4 missing)" in output
    assert "2 done, 2 failed, 0 left" in output
    assert f"Page: {out}/report.html" in output and (out / "report.html").is_file()

    fine, killed = record(out, "fine"), record(out, "killed-once")
    assert killed["status"] == "done" and killed["metrics"] == fine["metrics"]
    assert output.count("killed-once/seed0: its process died; trying once more") == 1

    hopeless = record(out, "killed-always")
    assert hopeless["status"] == "failed" and "its process died 2 times" in hopeless["error"]
    wrong = record(out, "wrong")
    assert wrong["status"] == "failed" and wrong["error"].startswith("Traceback")

    # A second start does what failed, and nothing else.
    again = start(suite, out, "--methods", "fine", "killed-once", "wrong")
    output, _ = again.communicate(timeout=300)
    assert "3 runs (2 done, 1 failed)" in output and "[1/1] digits/wrong/seed0: failed" in output
    assert record(out, "fine") == fine and record(out, "killed-once") == killed
    assert record(out, "wrong")["started"] >= wrong["finished"]


def descendants(pid: int) -> list[int]:
    files = Path(f"/proc/{pid}/task").glob("*/children")  # of each thread
    children = [int(each) for file in files for each in file.read_text().split()]
    return [each for child in children for each in (child, *descendants(child))]


def running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(") ")[1][0] != "Z"


def wait_until(condition, sweep: subprocess.Popen | None = None, seconds: float = 200) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert (sweep is None or sweep.poll() is None) and time.monotonic() < deadline
        time.sleep(0.1)


def pointer(run: Path) -> str:
    path = run / "last_checkpoint"
    return path.read_text() if path.exists() else ""


def test_a_sweep_is_alone_and_goes_on_after_it_was_stopped_or_killed(suite, tmp_path):
    run = tmp_path / "out/digits/fine/seed0"
    options = (
        "--methods",
        "fine",
        "--cfg-options",
        "train_cfg.max_epochs=200",
    )  # longer than a second start
    for number in (signal.SIGINT, signal.SIGKILL):
        before = pointer(run)
        sweep = start(suite, tmp_path / "out", *options)
        wait_until(lambda before=before: pointer(run) != before, sweep)
        workers = descendants(sweep.pid)
        assert workers
        if number == signal.SIGINT:
            second = start(suite, tmp_path / "out", *options)
            output, _ = second.communicate(timeout=100)
            assert second.returncode == 1 and "another sweep is at work" in output
            os.killpg(sweep.pid, number)
        else:
            os.kill(sweep.pid, number)  # alone, as a full memory does
        output, _ = sweep.communicate(timeout=180)
        if number == signal.SIGINT:
            assert sweep.returncode == 130, output
            assert "Traceback" not in output and "goes on from here" in output
        wait_until(lambda pids=workers: not any(map(running, pids)), seconds=30)
        assert not (run / "record.json").exists()
    last = start(suite, tmp_path / "out", *options)
    output, _ = last.communicate(timeout=900)
    assert last.returncode == 0 and "1 done, 0 failed" in output, output
    assert "fine/seed0/epoch_" in (tmp_path / "out/worker0.log").read_text()  # loaded


def test_a_full_disk_is_named_and_survived(suite, tmp_path):
    """Two runs on a disk with room for one checkpoint of the first."""
    out = tmp_path / "out"
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", str(out)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        sweep = start(suite, out, "--methods", "fine", "wrong")
        output, _ = sweep.communicate(timeout=200)
        assert sweep.returncode == 1 and "0 done, 2 failed, 0 left" in output, output
        assert "disk is full" in output or "No space left on device" in output
        for path in (out / "digits/fine/seed0").glob("*.pth"):
            path.unlink()
        subprocess.run(["mount", "-o", "remount,size=20m", str(out)], check=True)
        sweep = start(suite, out, "--methods", "fine")
        output, _ = sweep.communicate(timeout=200)
        assert sweep.returncode == 0 and "1 done, 0 failed" in output, output
    finally:
        subprocess.run(["umount", "-l", str(out)], check=True)


def test_unknown_names_are_refused_before_anything_starts(suite, tmp_path):
    sweep = start(suite, tmp_path / "out", "--methods", "lora")
    output, _ = sweep.communicate(timeout=180)
    assert sweep.returncode == 1 and "'lora' is unknown" in output and "killed-once" in output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('"accuracy/top1"', '"accuracy/top-1"', "'accuracy/top-1' is none of .*'accuracy/top1'"),
        ('"accuracy/top1"', '"mIoU"', "'mIoU' is none of"),
        ("group=", "gruop=", r"tasks\['digits'\]: 'gruop' is unknown; choose from .*'group'"),
        ("optimizer.lr", "optimiser.lr", "has no 'optimiser'"),
    ],
)
def test_a_wrong_suite_is_refused_before_anything_starts(suite, tmp_path, old, new, message):
    path = Path(suite)
    path.write_text(path.read_text().replace(old, new))
    sweep = start(suite, tmp_path / "out")
    output, _ = sweep.communicate(timeout=180)
    assert sweep.returncode == 1 and re.search(message, output), output
    assert "Traceback" not in output and not (tmp_path / "out").exists()


def test_a_truncated_record_is_refused_before_anything_starts(suite, tmp_path):
    path = tmp_path / "out/digits/fine/seed0/record.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"status": "do')
    sweep = start(suite, tmp_path / "out")
    output, _ = sweep.communicate(timeout=180)
    assert sweep.returncode == 1 and f"{path} is damaged" in output
    assert not (tmp_path / "out/digits/killed-once").exists()


def test_workers_take_the_visible_gpus_by_turns(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert [gpu_of(worker)["CUDA_VISIBLE_DEVICES"] for worker in range(3)] == ["4", "7", "4"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert gpu_of(1) == {"CUDA_VISIBLE_DEVICES": "1"}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert gpu_of(1) == {}


@pytest.mark.long
def test_each_run_over_several_processes(suite, tmp_path):
    """A run that dies goes on; with processes of its own each run has one record."""
    # Two processes need twice the epochs until the iteration before which one is killed.
    epochs = ("--cfg-options", "train_cfg.max_epochs=4")
    out, options = tmp_path / "out", ("--launcher", "pytorch", "--nproc", "2", *epochs)
    sweep = start(suite, out, *options, "--methods", "fine", "killed-once", "wrong")
    output, _ = sweep.communicate(timeout=500)
    assert sweep.returncode == 1 and "2 done, 1 failed, 0 left" in output, output
    fine = record(out, "fine")
    assert fine["metrics"] == record(out, "killed-once")["metrics"]
    assert "got 'high'" in record(out, "wrong")["error"]
    assert fine["host"]["processes"] == 2
    log = (out / "pytorch.log").read_text()
    assert (
        log.count("lr must be a number in [0, inf), got 'high'") >= 2
    )  # each process tells its own
