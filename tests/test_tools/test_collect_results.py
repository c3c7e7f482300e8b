"""Tables and page of a suite, from records on disk."""

import csv
import json
import re
import subprocess
import sys

import pytest

from mmdyt.engine.run_spec import fingerprint
from mmdyt.engine.suite import Suite
from tests.conftest import REPO


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The digits suite: two methods done, one run failed, two missing."""
    out = tmp_path_factory.mktemp("out")
    suite = Suite.fromfile("configs/suites/digits.py", out)
    values = {"linear": {0: 70.0, 1: 74.0}, "dyt": {0: 88.0}, "adaptformer": {0: None}}
    for run in suite.runs():
        if run.seed not in values[run.method]:
            continue
        accuracy = values[run.method][run.seed]
        metrics = {"accuracy/top1": accuracy, "dispatch/gflops": 0.05}
        if run.method == "dyt":
            metrics |= {f"dispatch/rate_{layer:02d}_mlp": 1 - layer / 10 for layer in range(6)}
            metrics["dispatch/activation_rate"] = 0.75
        record = dict(
            status="failed" if accuracy is None else "done",
            fingerprint=fingerprint(run.config()),
            metrics=metrics if accuracy else {},
            params=dict(total=10**6, trainable=23456),
        )
        run.work_dir.mkdir(parents=True)
        (run.work_dir / "record.json").write_text(json.dumps(record))
    command = [sys.executable, "tools/collect_results.py", "configs/suites/digits.py"]
    done = subprocess.run([*command, "--out", str(out)], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def test_markdown_and_csv_have_a_line_a_method(results):
    text = (results / "results.md").read_text()
    assert "3 of 6 runs are done" in text
    assert (
        "| Linear probe | 72.00 ± 2.83 | 72.00 ± 2.83 | 72.00 ± 2.83 | 0.0235 | 0.05 | - |" in text
    )
    assert "| AdaptFormer | (1 failed) (1 missing) |" in text
    with (results / "results.csv").open() as file:
        lines = {line["method"]: line for line in csv.DictReader(file)}
    assert lines["DyT r = 0.5"]["digits"] == "88.00 (1 missing)"
    assert lines["DyT r = 0.5"]["rate"] == "0.75"


def test_the_page_needs_nothing_else(results):
    page = (results / "results.html").read_text()
    assert page.count("data:image/png;base64,") == 2  # accuracy over cost, rates by layer
    assert not re.search(r"(src|href)=.https?:", page)
    assert "72.00 ± 2.83" in page


def test_the_paper_s_figures_are_the_paper_s(tmp_path):
    command = [sys.executable, "tools/collect_results.py", "configs/suites/image_full_sets.py"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)], cwd=REPO, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "0 of 144 runs are done" in done.stdout
    line = next(each for each in done.stdout.splitlines() if each.startswith("| DyT (paper)"))
    assert "| 91.37 | 97.08 | 90.32 |" in line and "12.21" in line


def test_both_means_of_vtab_have_a_column(tmp_path):
    command = [sys.executable, "tools/collect_results.py", "configs/suites/vtab1k.py"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)], cwd=REPO, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    head = next(line for line in done.stdout.splitlines() if line.startswith("| method"))
    assert "| structured | mean of tasks | mean |" in head
    assert "E2VPT (paper)" in done.stdout
