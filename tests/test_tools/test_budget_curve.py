"""The tool that measures budgets, and the test tool that uses them."""

import json
import logging
from functools import partial

import pytest
import torch
from mmengine.runner import Runner

from mmdyt.engine.budgets import merge_counts
from mmdyt.fileio import load_from_safetensors
from tests.conftest import build
from tools.analysis_tools import budget_curve
from tools.analysis_tools.budget_curve import main
from tools.test import main as run_test


@pytest.fixture(autouse=True)
def _logging_stays(monkeypatch):
    monkeypatch.setattr(logging, "disable", lambda level: None)


@pytest.fixture
def run(digits_cfg, tmp_path):
    """The folder of a finished run of one epoch; its config lies beside it."""
    digits_cfg.train_cfg.max_epochs = 1
    base = tmp_path / "base.pth"
    torch.save(build(digits_cfg.model.backbone).state_dict(), base)
    digits_cfg.model.backbone.init_cfg = dict(type="Pretrained", checkpoint=str(base))
    digits_cfg.dump(tmp_path / "config.py")
    Runner.from_cfg(digits_cfg.copy()).train()
    return tmp_path / "run"


def test_a_measured_table_travels_with_the_adapter_and_sets_the_test(
    run, tmp_path, run_main, capsys
):
    adapter = run / "adapter.safetensors"
    run_main(main, tmp_path / "config.py", adapter, "--points", 2)
    table = json.loads((run / "budgets.json").read_text())
    assert (run / "budgets.png").stat().st_size > 10_000
    assert table["images"] == 20 and table["metric"] == "accuracy/top1"
    low, high = table["points"]
    assert low["shift"] < high["shift"] and 0 < low["rate"] < high["rate"] < 1
    assert set(low["rates"]) == {"00_mlp", "01_mlp", "02_mlp"}
    assert table["trained"]["shift"] == 0 and 0 <= low["capacity"]["accuracy"] <= 100
    assert load_from_safetensors(str(adapter))["meta"]["budgets"]["points"] == table["points"]

    out = tmp_path / "metrics.json"
    for checkpoint in (adapter, run / "epoch_1.pth"):
        command = [tmp_path / "config.py", checkpoint, "--out", out, "--out-item", "metrics"]
        run_main(run_test, *command, "--budget", high["rate"])
        metrics = json.loads(out.read_text())
        assert metrics["dispatch/activation_rate"] == pytest.approx(high["rate"], abs=1e-6)
        assert metrics["dispatch/gflops"] == pytest.approx(high["gflops"], abs=1e-6)
        assert metrics["accuracy/top1"] == high["accuracy"]
    with pytest.raises(SystemExit, match=r"rate=0.999 is outside the measured range \["):
        run_main(run_test, *command, "--budget", 0.999)
    plain = ["--cfg-options", "model.backbone.dispatch=None", "model.dyt=None"]
    for message, options in {
        "the data set is empty": ["--cfg-options", "val_dataloader.dataset.indices=0"],
        "no metric 'accuracy/top7', but": ["--metric", "accuracy/top7"],
        "does not match|belongs to another model": plain,
    }.items():
        with pytest.raises(SystemExit, match=message):
            run_main(main, tmp_path / "config.py", adapter, "--points", 2, *options)


@pytest.mark.long
def test_merged_tokens_are_measured_untrained_and_trained(
    run, digits_cfg, tmp_path, run_main, capsys, monkeypatch
):
    monkeypatch.setattr(budget_curve, "merge_counts", partial(merge_counts, steps=1))
    plain = digits_cfg.copy()
    plain.merge_from_dict({"model.backbone.dispatch": None, "model.dyt": None})
    plain.work_dir = str(tmp_path / "plain")
    plain.dump(tmp_path / "plain.py")
    Runner.from_cfg(plain.copy()).train()
    command = [tmp_path / "config.py", run / "adapter.safetensors", "--points", 2]
    command += ["--adaptformer", tmp_path / "plain.py", tmp_path / "plain/adapter.safetensors"]
    run_main(main, *command, "--train", "--out", tmp_path / "out")
    others = json.loads((tmp_path / "out/budgets.json").read_text())["others"]
    untrained, trained = others.values()
    assert [point["r"] for point in untrained] == [0, 16]
    for points in (untrained, trained):
        costs = [point["gflops"] for point in points]
        assert costs[0] > costs[1]
    assert [p["gflops"] for p in trained] == [p["gflops"] for p in untrained]
    assert "AdaptFormer + ToMe, trained with it, r = 16" in capsys.readouterr().out
    checkpoints = [tmp_path / f"out/tome/r{point['r']}/epoch_1.pth" for point in trained]
    written = [checkpoint.stat().st_mtime_ns for checkpoint in checkpoints]
    run_main(main, *command, "--train", "--out", tmp_path / "out")
    again = json.loads((tmp_path / "out/budgets.json").read_text())["others"]
    assert again == others
    assert [checkpoint.stat().st_mtime_ns for checkpoint in checkpoints] == written
