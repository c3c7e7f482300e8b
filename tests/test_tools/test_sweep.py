"""The command line of tools/sweep.py, with real worker processes that really die."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmdyt.engine.suite_launchers.local import worker_environment
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

    fine, killed = record(out, "fine"), record(out, "killed-once")
    assert killed["status"] == "done" and killed["metrics"] == fine["metrics"]
    assert "killed-once/seed0: its process was killed by SIGKILL; trying once more" in output
    assert output.count("killed-once/seed0: its process") == 1

    hopeless = record(out, "killed-always")
    assert hopeless["status"] == "failed" and "killed by SIGKILL 2 times" in hopeless["error"]
    wrong = record(out, "wrong")
    assert wrong["status"] == "failed" and wrong["error"].startswith("Traceback")

    # A second start does what failed, and nothing else.
    again = start(suite, out, "--methods", "fine", "killed-once", "wrong")
    output, _ = again.communicate(timeout=300)
    assert "3 runs (2 done, 1 failed)" in output and "[1/1] digits/wrong/seed0: failed" in output
    assert record(out, "fine") == fine and record(out, "killed-once") == killed
    assert record(out, "wrong")["started"] >= wrong["finished"]


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(") ")[1][0] != "Z"


def test_a_sweep_is_alone_and_ctrl_c_leaves_no_process_and_no_record(suite, tmp_path):
    run = tmp_path / "out/digits/fine/seed0"
    options = ("--methods", "fine", "--cfg-options", "train_cfg.max_epochs=100000")
    sweep = start(suite, tmp_path / "out", *options)
    deadline = time.monotonic() + 120
    while not (run / "last_checkpoint").exists():
        assert sweep.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    workers = children(sweep.pid)
    assert workers
    second = start(suite, tmp_path / "out", *options)
    output, _ = second.communicate(timeout=60)
    assert second.returncode == 1 and "another sweep is at work" in output
    os.killpg(sweep.pid, signal.SIGINT)
    output, _ = sweep.communicate(timeout=60)
    assert sweep.returncode == 130
    assert "Traceback" not in output and "goes on from here" in output
    assert not any(running(pid) for pid in workers)
    assert not (run / "record.json").exists()


def test_a_worker_that_cannot_start_ends_the_sweep(suite, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/mmpretrain.py").write_text("raise ImportError('no mmpretrain here')")
    sweep = subprocess.run(
        [sys.executable, "tools/sweep.py", suite, "--out", str(tmp_path / "out")],
        cwd=REPO,
        env=dict(os.environ, PYTHONPATH=f"{tmp_path / 'broken'}:{REPO}"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert sweep.returncode == 1
    assert "cannot start" in sweep.stderr and "worker0.log" in sweep.stderr
    assert "no mmpretrain here" in (tmp_path / "out/worker0.log").read_text()


def test_unknown_names_are_refused_before_anything_starts(suite, tmp_path):
    sweep = start(suite, tmp_path / "out", "--methods", "lora")
    output, _ = sweep.communicate(timeout=60)
    assert sweep.returncode == 1 and "'lora' is unknown" in output and "killed-once" in output
    assert not (tmp_path / "out").exists()


def test_workers_share_the_cores_unless_the_user_says_otherwise(monkeypatch):
    cores = len(os.sched_getaffinity(0))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert int(worker_environment(0, 1)["OMP_NUM_THREADS"]) == cores
    assert int(worker_environment(0, 10 * cores)["OMP_NUM_THREADS"]) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert worker_environment(0, 1)["OMP_NUM_THREADS"] == "3"


@pytest.mark.long
def test_each_run_over_several_processes(suite, tmp_path):
    """A run that dies goes on; with processes of its own each run has one record."""
    # Two processes need twice the epochs until the iteration before which one is killed.
    epochs = ("--cfg-options", "train_cfg.max_epochs=4")
    out, options = tmp_path / "out", ("--launcher", "pytorch", "--nproc", "2", *epochs)
    sweep = start(suite, out, *options, "--methods", "fine", "killed-once", "wrong")
    output, _ = sweep.communicate(timeout=500)
    assert sweep.returncode == 1 and "2 done, 1 failed, 0 left" in output, output
    assert "killed-once/seed0: its processes ended with 1; trying once more" in output
    fine = record(out, "fine")
    assert fine["metrics"] == record(out, "killed-once")["metrics"]
    assert "lr" in record(out, "wrong")["error"] or "high" in record(out, "wrong")["error"]
    assert fine["host"]["processes"] == 2
    assert output.count("wrong/seed0: its processes ended") == 2
    log = (out / "pytorch.log").read_text()
    assert log.count("Error: '<='") >= 2  # each process tells its own
