"""The photo study's page says what its records say, also while runs are missing."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from mmdyt.engine.run_spec import fingerprint
from mmdyt.engine.suite import Suite
from projects.photo_study import choose_rates
from projects.photo_study.choose_rates import best_rate
from projects.photo_study.claims import ABLATIONS, CLAIMS, MAIN
from projects.photo_study.collect import PICTURED, RECORDS, SUITES
from projects.photo_study.readme import BEGIN, END, README, between_marks, readme_section
from projects.photo_study.report import PAGE, draw, read_speed, readme_methods, render_page
from projects.study.intervals import judge
from projects.study.records import read_records, write_records
from projects.study.study import Study, mean_accuracies
from projects.study.tables import results_table


@pytest.fixture(scope="module")
def suite() -> Suite:
    return Suite.fromfile(SUITES["study"])


def invented(suite: Suite, accuracies: dict[str, float], seeds: list[int] | None = None) -> Study:
    """The study's suite with made-up accuracies by method, and rates that fall."""
    rng = np.random.default_rng(1)
    records = [
        dict(
            task=run.task,
            method=run.method,
            seed=run.seed,
            seconds=60,
            params=dict(trainable=1000),
            host=dict(cpu="a CPU"),
            versions=dict(torch="2", commit="0" * 40),
            cfg_options=run.cfg_options,
            metrics={
                "accuracy/top1": accuracies.get(run.method, 60.0) + rng.normal(0, 0.1),
                "dispatch/gflops": 1.0 if run.method != "dyt" else 0.7,
                "dispatch/activation_rate": 0.5,
                **{f"dispatch/rate_{layer:02d}_mlp": 1 - layer / 11 for layer in range(12)},
            },
        )
        for run in suite.runs(seeds=seeds)
    ]
    return Study(suite, records)


def test_the_committed_page_is_what_the_records_render_to(suite):
    records = read_records(RECORDS)
    page = render_page(Study(suite, records["study"]), records["lr"], read_speed())
    assert PAGE.read_text() == page
    assert "$" not in page


def test_the_readme_shows_what_the_records_render_to(suite):
    study = Study(suite, read_records(RECORDS)["study"])
    section = readme_section(study, readme_methods(study), read_speed())
    text = README.read_text()
    assert between_marks(text, section) == text
    other = between_marks(text, "other")
    assert f"{BEGIN}\n\nother\n\n{END}" in other
    assert between_marks(other, section) == text
    for mark in (BEGIN, END):
        with pytest.raises(ValueError, match=f"lacks the line {re.escape(mark)}"):
            between_marks(text.replace(mark, ""), section)


def test_the_records_are_of_the_configs_as_they_stand():
    records = read_records(RECORDS)
    for name, path in SUITES.items():
        runs = {run.name: run for run in Suite.fromfile(path).runs()}
        for record in records[name]:
            run = runs[f"{record['task']}/{record['method']}/seed{record['seed']}"]
            assert record["fingerprint"] == fingerprint(run.config()), run.name


def test_the_learning_rates_are_the_best_of_the_records():
    learned = mean_accuracies(read_records(RECORDS)["lr"])
    assert Config.fromfile(choose_rates.TARGET).learning_rates == {
        method: best_rate(by_rate) for method, by_rate in learned.items()
    }


@pytest.mark.parametrize("name", SUITES)
def test_dispatchers_learn_at_one_rate(name):
    methods = Suite.fromfile(SUITES[name]).methods.items()
    ours = {key: each for key, each in methods if Path(each["config"]).stem in ("dyt", "dyt_ssf")}
    assert {"dyt", "dyt-ssf"} <= {key.partition("-lr")[0] for key in ours}
    for key, each in ours.items():
        options = each["cfg_options"]
        keys = options["optim_wrapper.paramwise_cfg"]["custom_keys"]
        rate = options["optim_wrapper.optimizer.lr"] * keys[".dispatcher."]["lr_mult"]
        assert rate == pytest.approx(0.12), key


def test_the_claims_are_of_the_suites_methods(suite):
    assert {*MAIN, *ABLATIONS} == set(suite.methods)
    named = {claim.left for claim in CLAIMS} | {claim.right for claim in CLAIMS if claim.right}
    assert named <= set(MAIN)
    ablated = {tuple(suite.methods[name]["tasks"]) for name in ABLATIONS if name not in MAIN}
    assert ablated == {("clothing", "sign_digits")}
    assert set(PICTURED) == set(suite.tasks) - {"cifar10"}


def test_verdicts_follow_the_data_and_missing_runs_are_named(suite):
    whole = invented(suite, {"dyt": 62.0, "random-weights": 20.0, "lora": 70.0})
    verdicts = {claim.text: judge(whole.interval(claim), claim.margin) for claim in CLAIMS}
    assert verdicts["DyT costs less than AdaptFormer"] == "agrees"
    assert verdicts["DyT is more accurate than LoRA"] == "does not agree"
    assert verdicts["AdaptFormer is more accurate than the linear probe"] == "undecided"
    page = render_page(whole, [], None)
    assert f"All {len(suite.runs())} runs are in." in page
    assert "**Not tested yet:** none" in page

    lacking = [r for r in whole.records if r["method"] != "lora" and r["task"] != "cifar10"]
    page = render_page(Study(suite, lacking), [], None)
    assert "**Not tested yet:** DyT is more accurate than LoRA." in page
    assert "of CIFAR-10 with seed 0" in page
    assert "| LoRA |" not in page


def test_ablations_are_compared_on_their_own_tasks(suite):
    whole = invented(suite, {"dyt": 62.4})
    for record in whole.records:
        if record["task"] not in ("clothing", "sign_digits"):
            record["metrics"]["accuracy/top1"] = 0.0
    head, _, dyt, *others = results_table(whole, ABLATIONS).splitlines()
    assert head.startswith("| method | Clothing | Sign digits | mean |")
    assert "**62." in dyt and " ± " in dyt.split("|")[4], "of the seeds"
    assert len(others) == len(ABLATIONS) - 1
    assert all("**60." in row or "**59." in row for row in others)


def finish(run, accuracy: float) -> None:
    """Leave the record of a finished run."""
    run.work_dir.mkdir(parents=True)
    record = dict(status="done", fingerprint=fingerprint(run.config()), task=run.task)
    record |= dict(method=run.method, seed=run.seed, cfg_options=run.cfg_options)
    record["metrics"] = {"accuracy/top1": accuracy}
    (run.work_dir / "record.json").write_text(json.dumps(record))


def test_records_of_other_days_are_kept(tmp_path):
    """What one machine finished stays when another adds its runs, unless its config changed."""
    days = [Suite.fromfile(SUITES["study"], tmp_path / str(day)) for day in range(3)]
    target = tmp_path / "records.json.gz"
    for day, accuracy in ((0, 50.0), (1, 60.0)):
        for run in days[day].runs(["clothing"], ["linear", "dyt"][day:], [0]):
            finish(run, accuracy)
        write_records({"study": days[day]}, target)
    found = {r["method"]: r["metrics"]["accuracy/top1"] for r in read_records(target)["study"]}
    assert found == {"linear": 50.0, "dyt": 60.0}
    assert write_records({"study": days[2]}, target) == {"study": 2}
    changed = replace(days[2], cfg_options={"train_dataloader.batch_size": 7})
    assert write_records({"study": changed}, target) == {"study": 0}


def test_rates_are_chosen_from_a_whole_grid_and_inside_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(choose_rates, "read_records", lambda path: {"lr": []})
    monkeypatch.setattr(choose_rates, "TARGET", tmp_path / "rates.py")
    runs = Suite.fromfile(SUITES["lr"], tmp_path).runs()
    for run in runs[1:]:
        finish(run, 60.0 - abs(run.cfg_options["optim_wrapper.optimizer.lr"] - 0.01))
    monkeypatch.setattr(sys, "argv", ["choose_rates", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match=f"1 of {len(runs)} runs are not done"):
        choose_rates.main()
    finish(runs[0], 90.0)
    choose_rates.main()
    written = (tmp_path / "rates.py").read_text()
    assert runs[0].method == "linear-lr0.003" and '"linear": 0.003,' in written
    assert '"lora": 0.01,' in written
    with pytest.raises(ValueError, match=r"0\.03, lies at the edge of \[0\.01, 0\.03\]"):
        best_rate({0.01: 60.0, 0.03: 70.0})


def test_figures_need_every_task_of_a_method(suite):
    study = invented(suite, {}, seeds=[0])
    speed = dict(task="clothing", speed={"dyt": 50.0, "linear": 40.0})
    assert set(draw(study, speed)) == {"accuracy_cost.png", "accuracy_speed.png", "rates.png"}
    one = Study(suite, [r for r in study.records if r["task"] == "clothing"])
    assert set(draw(one, speed)) == {"rates.png"}


def test_the_readme_has_a_row_for_each_method_with_all_tasks(suite):
    study = invented(suite, {"dyt": 70.5, "linear": 60.5}, seeds=[0])
    speed = dict(speed={"dyt": 50.0}, task="clothing", batch=32, threads=2, host=dict(cpu="a CPU"))
    for record in study.records:
        if record["method"] == "linear":
            del record["metrics"]["dispatch/activation_rate"]
    section = readme_section(study, ["linear", "dyt"], speed)
    assert "| DyT, r = 0.5 | 1 | 0.700 | 0.50 | 50 | 70." in section
    assert "| Linear probe | 1 | 1.000 | - | - | 60." in section, "without dispatch, not timed"
    assert "5 tasks, seed 0. Images/s: Clothing, batches of 32, 2 threads of a CPU." in section
    timed = speed | dict(speed={"dyt": 50.0, "ssf": 40.0})
    section = readme_section(study, ["dyt", "ssf"], timed)
    assert "threads of a CPU, SSF merged into the backbone." in section
    assert "Trained in float32: SSF; the others in bfloat16." in section
    both = readme_section(invented(suite, {}), ["dyt", "lora"], None)
    assert "seeds 0, 1; ±:" in both and "LoRA's GFLOPs" in both and "Images/s" not in both
    assert "random-weights" not in readme_methods(study)
    assert readme_section(study, [], None) == ""


def test_the_best_mean_over_the_tasks_is_chosen():
    def record(task: str, method: str, rate: float, accuracy: float) -> dict:
        return dict(
            task=task,
            method=f"{method}-lr{rate:g}",
            cfg_options={"optim_wrapper.optimizer.lr": rate},
            metrics={"accuracy/top1": accuracy},
        )

    records = [record("a", "dyt", 0.01, 60.0), record("b", "dyt", 0.01, 70.0)]
    records += [record("a", "dyt", 0.03, 90.0)]  # not on both tasks
    records += [record("a", "dyt", 0.003, 70.0), record("b", "dyt", 0.003, 60.0)]
    records += [record("a", "lora", 0.001, 50.0)]
    means = mean_accuracies(records)
    assert means == {"dyt": {0.01: 65.0, 0.003: 65.0}, "lora": {0.001: 50.0}}
    assert best_rate({0.001: 50.0, **means["dyt"], 0.1: 0.0}) == 0.01
