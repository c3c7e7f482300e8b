"""The command lines of tools/train.py and tools/test.py."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmdyt.engine.launch import join_cpu_processes
from tests.conftest import REPO
from tools import test as test_tool
from tools import train as train_tool


@pytest.fixture
def config(digits_cfg, tmp_path) -> str:
    path = tmp_path / "tiny.py"
    digits_cfg.pop("work_dir")
    digits_cfg.dump(path)
    return str(path)


def call(tool, monkeypatch, *args: str) -> None:
    monkeypatch.setattr(sys, "argv", ["tool", *args])
    tool.main()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_amp_on_a_cpu_is_refused_before_the_run(config, tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match=r"--amp.*needs a GPU"):
        call(train_tool, monkeypatch, config, "--amp", "--work-dir", str(tmp_path / "run"))
    own = ("--cfg-options", "optim_wrapper.type=mmdyt.Bfloat16OptimWrapper")
    with pytest.raises(SystemExit, match=r"--amp would replace optim_wrapper\.type='mmdyt\.Bf"):
        call(train_tool, monkeypatch, config, "--amp", *own)
    assert not (tmp_path / "run").exists()


def test_work_dir_defaults_to_the_name_of_the_config(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["train_cfg.max_epochs=1", "log_level=ERROR"]
    call(train_tool, monkeypatch, config, "--no-validate", "--cfg-options", *options)
    assert (tmp_path / "work_dirs/tiny/epoch_1.pth").exists()
    assert Config.fromfile("work_dirs/tiny/tiny.py").val_cfg is None
    checkpoint, out = "work_dirs/tiny/adapter.safetensors", "metrics.json"
    with pytest.raises(SystemExit, match="other base weights"):
        # Without init_cfg another seed makes another base.
        call(test_tool, monkeypatch, config, checkpoint, "--cfg-options", "randomness.seed=1")
    checkpoint = "work_dirs/tiny/epoch_1.pth"
    call(test_tool, monkeypatch, config, checkpoint, "--out", out, "--out-item", "metrics")
    metrics = json.loads(Path(out).read_text())
    assert {"accuracy/top1", "dispatch/activation_rate", "dispatch/gflops"} <= set(metrics)


@pytest.mark.parametrize(
    "resume, expected",
    [
        ([], (False, None)),
        (["--resume"], (True, None)),
        (["--resume", "some.pth"], (True, "some.pth")),
    ],
)
def test_resume_has_three_forms(config, monkeypatch, resume, expected):
    monkeypatch.setattr(sys, "argv", ["train.py", config, *resume])
    cfg = train_tool.merge_args(Config.fromfile(config), train_tool.parse_args())
    assert (cfg.resume, cfg.load_from) == expected


def test_mpi_without_gpus_is_refused():
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="pytorch or slurm"):
            join_cpu_processes(Config(dict(launcher="mpi")))


@pytest.mark.long
def test_dist_train_and_dist_test_run_two_cpu_processes(config, tmp_path):
    """The scripts a user types, with two real processes."""
    env = dict(os.environ, PYTHON=sys.executable, PORT="29617", CUDA_VISIBLE_DEVICES="-1")
    run = str(tmp_path / "run")
    train = ["bash", "tools/dist_train.sh", config, "2", "--work-dir", run]
    subprocess.run(train, cwd=REPO, env=env, check=True, timeout=600)
    assert Path(run, "epoch_2.pth").exists()
    checkpoint = ["bash", "tools/dist_test.sh", config, f"{run}/epoch_2.pth", "2"]
    out = str(tmp_path / "metrics.json")
    test = [*checkpoint, "--work-dir", run, "--out", out, "--out-item", "metrics"]
    subprocess.run(test, cwd=REPO, env=env, check=True, timeout=600)
    assert "accuracy/top1" in json.loads(Path(out).read_text())
