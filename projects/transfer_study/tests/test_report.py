"""The transfer study's page says what its records say, and nothing else."""

import re

import numpy as np
import pytest

from mmdyt.engine.run_spec import fingerprint
from mmdyt.engine.suite import Suite
from projects.study.intervals import judge
from projects.study.records import read_records
from projects.study.study import Study, front_minus_back
from projects.study.tables import coverage, results_table
from projects.transfer_study.claims import CLAIMS
from projects.transfer_study.collect import RECORDS
from projects.transfer_study.report import FOLDER, PAGE, SUITE, draw, render_page


@pytest.fixture(scope="module")
def records():
    return read_records(RECORDS)


@pytest.fixture(scope="module")
def study(records):
    return Study(Suite.fromfile(SUITE), records["study"])


def test_the_committed_page_is_what_the_records_render_to(study, records):
    assert PAGE.read_text() == render_page(study, records["lr"])


def test_the_pages_figures_are_those_that_are_drawn(study):
    shown = re.findall(r"!\[[^\]]*\]\(results/([^)]+)\)", PAGE.read_text())
    assert sorted(shown) == sorted(draw(study))
    assert all((FOLDER / name).stat().st_size > 5000 for name in shown)


def test_the_records_are_of_the_configs_as_they_stand(study, records):
    """A record of another config would show up here, for one task and every method."""
    suites = {"study": study.suite, "lr": Suite.fromfile(SUITE.with_name("transfer_study_lr.py"))}
    for name, suite in suites.items():
        (task,) = ["mnist"]
        found = {r["method"]: r for r in records[name] if r["task"] == task and r["seed"] == 0}
        for run in suite.runs([task], None, [0]):
            assert found[run.method]["fingerprint"] == fingerprint(run.config()), run.name


def test_every_method_ran_on_every_task(study):
    for method in study.suite.methods:
        assert list(study.by_task(method)) == list(study.suite.tasks)


def invented(study: Study, accuracies: dict[str, float]) -> Study:
    """The study's suite with made-up accuracies by method, and rates that fall."""
    rng = np.random.default_rng(0)
    records = [
        dict(
            task=run.task,
            method=run.method,
            seed=run.seed,
            params=dict(trainable=1000),
            metrics={
                "accuracy/top1": accuracies.get(run.method, 60.0) + rng.normal(0, 0.1),
                "dispatch/gflops": 0.005,
                "dispatch/activation_rate": 0.5,
                **{f"dispatch/rate_{layer:02d}_mlp": 1 - layer / 5 for layer in range(6)},
            },
        )
        for run in study.suite.runs()
    ]
    return Study(study.suite, records)


def test_a_verdict_follows_the_data(study):
    made_up = invented(study, {"dyt": 62.0, "dyt-random": 59.0, "dyt-moe2": 50.0})
    verdicts = {claim.text: judge(made_up.interval(claim), claim.margin) for claim in CLAIMS}
    assert verdicts["Learned dispatch is better than random dispatch"] == "agrees"
    assert verdicts["Activation rates fall with depth"] == "agrees"
    assert verdicts["A MoE-adapter of 2 experts helps"] == "does not agree"
    assert verdicts["The complete model's loss helps"] == "undecided"
    assert front_minus_back(made_up.records[0]) == pytest.approx(60)


def test_the_mean_is_that_of_the_groups(study):
    """A group of two tasks weighs as much as one of three."""
    natural = [name for name, task in study.suite.tasks.items() if task["group"] == "natural"]
    records = [
        dict(task=task, method="dyt", seed=0, metrics={"accuracy/top1": 90.0 * (task in natural)})
        for task in study.suite.tasks
    ]
    assert Study(study.suite, records).mean("dyt") == pytest.approx(30.0)


def test_missing_runs_are_named(study):
    whole = invented(study, {})
    cut = Study(study.suite, [r for r in whole.records if (r["task"], r["seed"]) != ("count", 2)])
    assert coverage(whole) == "All 399 runs are in."
    assert coverage(cut) == "380 of 399 runs are in; missing: 19 of Count with seed 2."
    assert len(results_table(cut).splitlines()) == 2 + 19


def test_no_placeholder_is_left():
    assert "$" not in PAGE.read_text()
