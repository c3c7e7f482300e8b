"""The budget study measures models of a suite, and its page says what was measured."""

import json
import logging

import pytest
import torch

from mmdyt.engine.suite import Suite
from mmdyt.engine.suite_run import execute
from projects.budget_study import measure
from projects.budget_study.report import PAGE, paired, read_studies, render, row
from tests.conftest import build

SUITE = """
title, metric, seeds = "Small", "accuracy/top1", [0]
tasks = {{"digits": dict()}}
methods = {{
    f"dyt-r{{rate}}": dict(config="{config}", cfg_options={{"model.dyt.target_rate": rate}})
    for rate in (0.4, 0.6)
}}
"""


@pytest.fixture
def trained(digits_cfg, tmp_path, monkeypatch):
    """A suite file of two rates, whose runs are done."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging, "disable", lambda level: None)
    monkeypatch.setattr(measure, "FOLDER", tmp_path / "results")
    torch.save(build(digits_cfg.model.backbone).state_dict(), tmp_path / "base.pth")
    base = dict(type="Pretrained", checkpoint=str(tmp_path / "base.pth"))
    digits_cfg.model.backbone.init_cfg = base
    digits_cfg.train_cfg.max_epochs = 1
    digits_cfg.pop("work_dir")
    digits_cfg.dump(tmp_path / "tiny.py")
    (tmp_path / "small.py").write_text(SUITE.format(config=tmp_path / "tiny.py"))
    for run in Suite.fromfile(tmp_path / "small.py").runs():
        assert execute(run)["status"] == "done"
    return tmp_path / "small.py"


def test_models_are_set_to_the_rates_that_others_were_trained_for(trained, run_main):
    command = [trained, "--bases", "dyt-r0.6", "--points", 3]
    run_main(measure.main, *command)
    file = measure.FOLDER / "small.json"
    runs = json.loads(file.read_text())["runs"]
    other, base = runs["digits/dyt-r0.4/seed0"], runs["digits/dyt-r0.6/seed0"]
    assert (other["target_rate"], base["target_rate"]) == (0.4, 0.6) and "set_to" not in other
    asked = [(point["asked"], point["form"]) for point in base["set_to"]]
    assert asked == [(r, form) for form in ("threshold", "capacity") for r in (0.4, 0.6)]
    for point in base["set_to"]:  # calibrated on other images, and on three points
        assert 0 <= point["accuracy"] <= 100 and abs(point["rate"] - point["asked"]) < 0.2
    low, high = base["set_to"][:2]
    assert low["rate"] < high["rate"] and low["gflops"] < high["gflops"]
    page = render({"small": json.loads(file.read_text())})
    assert "## small, digits" in page and "calibrated on val200.txt" in page

    written = file.read_text()
    run_main(measure.main, *command)
    assert file.read_text() == written  # measured already
    for options, message in (
        (["--calibration", "test.txt"], "is tested on test.txt"),
        (["--bases", "dyt-r0.4", "--methods", "dyt-r0.6"], "must be among --methods"),
        (["--out", "elsewhere"], "is not trained"),
    ):
        with pytest.raises(SystemExit, match=message):
            run_main(measure.main, trained, *options)


def test_a_row_says_whether_a_set_model_is_close_enough():
    def run(target: float, seed: int, accuracy: float, **entry) -> dict:
        trained = dict(accuracy=accuracy, rate=target, gflops=1.0)
        return dict(task="a", seed=seed, target_rate=target, as_trained=trained, **entry)

    def set_to(accuracy: float, rate: float) -> list[dict]:
        return [dict(asked=0.3, form="threshold", accuracy=accuracy, rate=rate, gflops=1.0)]

    runs = [run(0.3, seed, 80.0 + seed) for seed in (0, 1)]
    for accuracies, rates, verdict in (
        ((79.5, 80.0), (0.3, 0.32), "yes"),
        ((78.0, 80.0), (0.3, 0.32), "not in accuracy"),
        ((80.0, 81.0), (0.3, 0.34), "not in rate"),
        ((70.0, 81.0), (0.2, 0.34), "not in accuracy and rate"),
    ):
        shifted = [
            run(0.5, seed, 90.0, set_to=set_to(accuracy, rate))
            for seed, (accuracy, rate) in enumerate(zip(accuracies, rates))
        ]
        pairs = paired(runs + shifted, 0.5, 0.3, "threshold")
        assert len(pairs) == 2 and row(0.5, 0.3, pairs)[-1] == verdict
        assert paired(runs + shifted, 0.5, 0.3, "capacity") == []


def test_the_committed_page_is_what_the_records_render_to():
    assert PAGE.read_text() == render(read_studies())
