"""The tool that measures budgets, and the test tool that uses them."""

import json
import logging
import re
from functools import partial

import pytest
import torch
from mmengine.runner import Runner

import mmdyt
from mmdyt.engine.budgets import merge_counts
from mmdyt.fileio import load_from_safetensors
from mmdyt.models.layers.decisions import TopTokens
from tests.conftest import REPO, build
from tools.analysis_tools import budget_curve
from tools.analysis_tools.budget_curve import main
from tools.test import main as run_test


@pytest.fixture(autouse=True)
def _logging_stays(monkeypatch):
    monkeypatch.setattr(logging, "disable", lambda level: None)


def trained(cfg, folder):
    """Train a config of digits for an epoch; it is written beside the run's folder."""
    folder.mkdir(exist_ok=True)
    base = folder / "base.pth"
    cfg.train_cfg.max_epochs = 1
    cfg.work_dir = str(folder / "run")
    cfg.model.backbone.init_cfg = None
    torch.save(build(cfg.model.backbone).state_dict(), base)
    cfg.model.backbone.init_cfg = dict(type="Pretrained", checkpoint=str(base))
    cfg.dump(folder / "config.py")
    Runner.from_cfg(cfg.copy()).train()
    return folder / "run"


@pytest.fixture
def run(digits_cfg, tmp_path):
    """The folder of a finished run of one epoch; its config lies beside it."""
    return trained(digits_cfg, tmp_path)


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
    # The run's own metrics stay the newest of its folder.
    assert not list(run.glob("*/*.json")) and list(run.glob("budget_*/*/*.json"))
    run_main(run_test, *command, "--budget", table["trained"]["rate"], "--capacity")
    static = table["trained"]["capacity"]
    assert json.loads(out.read_text())["accuracy/top1"] == static["accuracy"]
    assert list(run.glob("budget_*_capacity/*/*.json"))
    with pytest.raises(SystemExit, match=r"rate=0.999 is outside the measured range \["):
        run_main(run_test, *command, "--budget", 0.999)
    plain = ["--cfg-options", "model.backbone.dispatch=None", "model.dyt=None"]
    for message, options in {
        "val_dataloader.dataset is empty: there": [
            "--cfg-options",
            "val_dataloader.dataset.indices=0",
        ],
        "no metric 'accuracy/top7', but": ["--metric", "accuracy/top7"],
        "does not match|belongs to another model": plain,
    }.items():
        with pytest.raises(SystemExit, match=message):
            run_main(main, tmp_path / "config.py", adapter, "--points", 2, *options)


def test_the_snippets_of_the_page(run, tmp_path, run_main, monkeypatch):
    """Python's, in one place one after the other, as a reader of docs/budgets.md runs them."""
    (tmp_path / "work_dirs").mkdir()
    run.rename(tmp_path / "work_dirs/my_run")
    adapter = tmp_path / "work_dirs/my_run/adapter.safetensors"
    run_main(main, tmp_path / "config.py", adapter, "--points", 9)
    monkeypatch.chdir(tmp_path)
    text = (REPO / "docs/budgets.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    found: dict = {}
    for block in blocks[:2]:  # the third one runs a file of ONNX: test_export.py
        exec(block, found)
    assert len(blocks) == 3 and found["point"]["rate"] == pytest.approx(0.4)
    layer = found["model"].backbone.layers[0]
    assert isinstance(layer.fixed_decisions["mlp"], TopTokens)


def test_averaged_weights_are_measured_as_they_are_tested(digits_cfg, tmp_path, run_main):
    """``EMAHook`` would look for its own model before the run begins."""
    digits_cfg.custom_hooks = [*digits_cfg.custom_hooks, dict(type="EMAHook", momentum=0.5)]
    folder = trained(digits_cfg, tmp_path)
    checkpoint, out = folder / "epoch_1.pth", tmp_path / "metrics.json"
    run_main(main, tmp_path / "config.py", checkpoint, "--points", 2)
    table = json.loads((folder / "budgets.json").read_text())
    command = [tmp_path / "config.py", checkpoint, "--out", out, "--out-item", "metrics"]
    for options, point in (([], table["trained"]), (["--budget"], table["points"][1])):
        run_main(run_test, *command, *options, *([point["rate"]] if options else []))
        metrics = json.loads(out.read_text())
        assert metrics["accuracy/top1"] == point["accuracy"]
        assert metrics["dispatch/gflops"] == pytest.approx(point["gflops"], abs=1e-9)


def test_dispatchers_of_whole_images_have_a_table_without_capacities(
    digits_cfg, tmp_path, run_main
):
    digits_cfg.model.backbone.dispatcher = dict(type="mmdyt.SampleDispatcher")
    folder = trained(digits_cfg, tmp_path)
    run_main(main, tmp_path / "config.py", folder / "epoch_1.pth", "--points", 2)
    table = json.loads((folder / "budgets.json").read_text())
    assert not any("capacity" in point for point in table["points"])
    model = mmdyt.load_adapter(folder / "adapter.safetensors")
    middle = sum(point["rate"] for point in table["points"]) / 2
    assert mmdyt.set_budget(model, rate=middle, budgets=table)["rate"] == pytest.approx(middle)
    with pytest.raises(ValueError, match="no capacity: its dispatchers decide on samples"):
        mmdyt.set_budget(model, rate=middle, budgets=table, capacity=True)


def test_what_is_wrong_is_told_before_the_work(run, digits_cfg, tmp_path, run_main, monkeypatch):
    def no_work(*args):
        raise AssertionError("measured before everything was looked at")

    monkeypatch.setattr(budget_curve, "measure_budgets", no_work)
    command = [main, tmp_path / "config.py", run / "adapter.safetensors"]
    with pytest.raises(SystemExit, match=r"none\.safetensors"):
        run_main(*command, "--adaptformer", tmp_path / "config.py", tmp_path / "none.safetensors")
    other = ["--adaptformer", tmp_path / "plain.py", run / "epoch_1.pth"]
    digits_cfg.dump(tmp_path / "plain.py")
    with pytest.raises(SystemExit, match=r"model\.backbone\.dispatch: .* give one without"):
        run_main(*command, *other)
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"--out .* cannot be written"):
        run_main(*command, "--out", tmp_path / "file/folder")
    test = [run_test, tmp_path / "config.py", run / "epoch_1.pth", "--budget", 0.4]
    for text, told in (("{", " is damaged"), ("{}", ": this is no table of budgets")):
        (run / "budgets.json").write_text(text)
        with pytest.raises(SystemExit, match=f"budgets.json{told}"):
            run_main(*test)
    digits_cfg.model.update(dyt=None)
    digits_cfg.model.backbone.update(dispatch=None, out_type="avg_featmap")
    plain = trained(digits_cfg, tmp_path / "plain")
    other = ["--adaptformer", tmp_path / "plain.py", plain / "epoch_1.pth", "--train"]
    for change, told in (
        ({}, "backbone.out_type='avg_featmap' is not supported by ToMe"),
        (dict(train_cfg=None), "train_cfg, which a train run needs"),
    ):
        wrong = digits_cfg.copy()
        wrong.merge_from_dict(change)
        wrong.dump(tmp_path / "plain.py")
        with pytest.raises(SystemExit, match=told):
            run_main(*command, *other)
    with pytest.raises(SystemExit, match="has no token dispatchers"):
        run_main(run_test, tmp_path / "plain/config.py", plain / "epoch_1.pth", "--budget", 0.4)


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
