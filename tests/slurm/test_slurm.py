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
    logs = [path.read_text() for path in (out / "slurm").glob("*_log.out")]
    assert len(logs) == 3 and sum("Killed" in log for log in logs) == 1
    assert record(out, "wrong")["error"].startswith("Traceback")

    again = sweep(slurm, suite, out, *methods, "--wait")
    assert "3 runs (2 done, 1 failed)" in again.stdout and "1 submitted" in again.stdout
    assert record(out, "fine") == fine and record(out, "killed-once") == killed
    assert (out / "digits/wrong/seed0/record.failed.json").exists()


def test_a_requeued_task_goes_on_and_is_not_submitted_twice(slurm, suite, tmp_path):
    out, run = tmp_path / "out", tmp_path / "out/digits/fine/seed0"
    options = ("--methods", "fine", "--cfg-options", "train_cfg.max_epochs=200")
    first = sweep(slurm, suite, out, *options, "--sbatch=--time=30 --comment=mine")
    assert first.returncode == 0, first.stderr
    job = first.stdout.split()[-1]
    second = sweep(slurm, suite, out, *options)
    assert "1 queued already, 0 submitted" in second.stdout
    wait_until((run / "last_checkpoint").exists, "the task wrote no checkpoint")
    subprocess.run(["scontrol", "requeue", job], env=slurm, check=True)
    third = sweep(slurm, suite, out, *options, "--wait")
    assert third.returncode == 0 and "1 queued already" in third.stdout, third.stdout
    assert record(out, "fine")["status"] == "done"
    assert "fine/seed0/epoch_" in (out / f"slurm/{job}_0_log.out").read_text()  # loaded


def test_a_task_that_is_warned_of_its_time_limit_goes_on_later(slurm, suite, tmp_path):
    out, run = tmp_path / "out", tmp_path / "out/digits/fine/seed0"
    options = ("--methods", "fine", "--cfg-options", "train_cfg.max_epochs=200")
    first = sweep(slurm, suite, out, *options, "--sbatch=--time=30")
    job = first.stdout.split()[-1]
    wait_until((run / "last_checkpoint").exists, "the task wrote no checkpoint")
    subprocess.run(["scancel", "--signal=USR2", job], env=slurm, check=True)
    last = sweep(slurm, suite, out, *options, "--wait")
    assert last.returncode == 0 and "1 queued already" in last.stdout, last.stdout
    log = (out / f"slurm/{job}_0_log.out").read_text()
    assert "this job is timed-out" in log and "fine/seed0/epoch_" in log
    assert record(out, "fine")["status"] == "done"


def test_of_two_sweeps_started_together_one_submits(slurm, suite, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "tools/sweep.py", suite, "--launcher", "slurm", "--out", str(out)]
    command += ["--methods", "fine", "killed-once", "--sbatch=--hold"]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    both = [subprocess.Popen(command, cwd=REPO, env=slurm, **pipes) for _ in range(2)]
    told = [each.communicate(timeout=200) for each in both]
    submitted = [output for output, _ in told if "2 submitted as job" in output]
    assert len(submitted) == 1, told
    (other,) = [pair for pair in told if "2 submitted as job" not in pair[0]]
    assert "2 queued already, 0 submitted" in other[0] or "another sweep is at work" in other[1]
    squeue = ["squeue", "--array", "--noheader", f"--job={submitted[0].split()[-1]}"]
    queue = subprocess.run(squeue, env=slurm, capture_output=True, text=True)
    assert len(queue.stdout.splitlines()) == 2

    local = [sys.executable, "tools/sweep.py", suite, "--out", str(out)]
    refused = subprocess.run(local, cwd=REPO, env=slurm, capture_output=True, text=True)
    assert refused.returncode == 1 and "2 runs of" in refused.stderr and "queue" in refused.stderr
    subprocess.run(["scancel", submitted[0].split()[-1]], env=slurm, check=True)


def test_refused_options_are_told_in_slurm_s_words(slurm, suite, tmp_path):
    refused = sweep(slurm, suite, tmp_path / "out", "--sbatch=--partition=gpu8")
    assert refused.returncode == 1 and "invalid partition specified: gpu8" in refused.stderr
    refused = sweep(slurm, suite, tmp_path / "out", "--sbatch=-p gpu8")
    assert refused.returncode == 1 and "write '-p' as --name=value" in refused.stderr


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
