"""Suites and single trainings on a real Slurm; ``make test-slurm`` runs them."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import REPO
from tests.slurm.cluster import cluster, missing

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module")
def slurm():
    """The environment of a running cluster."""
    if reason := missing():
        pytest.fail(reason)  # asked for by name, so not skipped
    with cluster() as env:
        yield env | dict(PYTHONPATH=str(REPO), OMP_NUM_THREADS="1", COLUMNS="200")


def sweep(env, suite, out, *args) -> subprocess.CompletedProcess:
    command = [sys.executable, "tools/sweep.py", suite, "--launcher", "slurm", "--out", str(out)]
    return subprocess.run(
        [*command, *args], cwd=REPO, env=env, capture_output=True, text=True, timeout=600
    )


def record(out: Path, method: str) -> dict:
    return json.loads((out / "digits" / method / "seed0/record.json").read_text())


def wait_until(condition, what: str, seconds: float = 200) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)


def test_an_array_outlives_killed_and_failing_tasks(slurm, suite, tmp_path):
    out = tmp_path / "out"
    methods = ("--methods", "fine", "killed-once", "wrong")
    first = sweep(slurm, suite, out, *methods, "--wait", "--parallel", "2")
    assert first.returncode == 1, first.stdout + first.stderr
    assert "3 submitted as job" in first.stdout and "2 done, 1 failed, 0 left" in first.stdout
    fine, killed = record(out, "fine"), record(out, "killed-once")
    assert killed["status"] == "done" and killed["metrics"] == fine["metrics"]
    logs = [path.read_text() for path in (out / "slurm").glob("*.log")]
    assert len(logs) == 3 and sum("Killed" in log for log in logs) == 1
    assert record(out, "wrong")["error"].startswith("Traceback")

    again = sweep(slurm, suite, out, *methods, "--wait")
    assert "3 runs (2 done, 1 failed)" in again.stdout and "1 submitted" in again.stdout
    assert record(out, "fine") == fine and record(out, "killed-once") == killed
    assert (out / "digits/wrong/seed0/record.failed.json").exists()


def test_a_requeued_task_goes_on_and_is_not_submitted_twice(slurm, suite, tmp_path):
    out, run = tmp_path / "out", tmp_path / "out/digits/fine/seed0"
    options = ("--methods", "fine", "--cfg-options", "train_cfg.max_epochs=60")
    first = sweep(slurm, suite, out, *options, "--sbatch=--time=30 --comment=mine")
    assert first.returncode == 0, first.stderr
    job = first.stdout.split()[-1]
    second = sweep(slurm, suite, out, *options)
    assert "1 queued already, 0 submitted" in second.stdout
    wait_until((run / "last_checkpoint").exists, "the task wrote no checkpoint")
    subprocess.run(["scontrol", "requeue", f"{job}_0"], env=slurm, check=True)
    third = sweep(slurm, suite, out, *options, "--wait")
    assert third.returncode == 0 and "1 queued already" in third.stdout, third.stdout
    assert record(out, "fine")["status"] == "done"
    assert "fine/seed0/epoch_" in (out / f"slurm/{job}_0.log").read_text()  # loaded


def test_refused_options_are_told_in_slurm_s_words(slurm, suite, tmp_path):
    refused = sweep(slurm, suite, tmp_path / "out", "--sbatch=--partition=gpu8")
    assert refused.returncode == 1 and "invalid partition specified: gpu8" in refused.stderr


def test_slurm_train_runs_two_processes(slurm, digits_cfg, tmp_path):
    digits_cfg.log_level = "INFO"
    digits_cfg.dump(tmp_path / "tiny.py")
    env = slurm | dict(GPUS="2", GPUS_PER_NODE="0", CPUS_PER_TASK="1", PYTHON=sys.executable)
    arguments = ["main", "test", str(tmp_path / "tiny.py"), str(tmp_path / "run")]
    done = subprocess.run(
        ["tools/slurm_train.sh", *arguments],
        cwd=REPO, env=env, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Distributed launcher: slurm" in done.stdout + done.stderr
    assert "GPU number: 2" in done.stdout + done.stderr
    assert (tmp_path / "run/epoch_2.pth").exists()
