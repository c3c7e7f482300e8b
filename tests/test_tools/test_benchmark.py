"""The benchmark runs, and its numbers fit together."""

import json

import pytest

from tests.test_tools.test_flops_tools import run_tool


def test_benchmark_of_a_small_vit(tmp_path):
    size = "--arch deit-tiny --pixels 64 --batch-sizes 2 --merge 1 --training-batch 2"
    rates = "--rounds 2 --rates 0.3 0.5"
    result = run_tool("benchmark.py", *size.split(), *rates.split(), "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "benchmark.png").stat().st_size > 1000
    report = (tmp_path / "benchmark.md").read_text()
    written = json.loads((tmp_path / "benchmark.json").read_text())
    assert written["machine"] in report

    (rows,) = written["inference"].values()
    by_name = {row["name"]: row for row in rows}
    dense, complete = by_name["dense"], by_name["DyT, all active"]
    assert dense["ideal"] == 1 and dense["gain"]["median"] == 1
    assert by_name["LoRA, merged"]["gflops"] == dense["gflops"] < complete["gflops"]
    assert complete["rate"] == 1
    for rate in (0.3, 0.5):
        assert by_name[f"DyT {rate}"]["rate"] == pytest.approx(rate, abs=0.05)
    assert by_name["released way 0.5"]["gflops"] == by_name["DyT 0.5"]["gflops"]
    assert by_name["DyT 0.3"]["ideal"] > by_name["DyT 0.5"]["ideal"] > 1 > complete["ideal"]
    for row in rows:
        assert row["gain"]["median"] / row["ideal"] == pytest.approx(row["share"]["median"])

    limits = {row["name"] for row in rows if row["clock"] is not None}
    assert limits == {name for name in by_name if "DyT" in name or "released" in name} - {
        "DyT 0.5 + ToMe"
    }

    (steps,) = written["training"].values()
    saved = {row["name"]: row["saved_mib"] for row in steps}
    assert saved["linear"] < saved["AdaptFormer"] < saved["DyT"] < saved["DyT, plain form"]
    assert {row["to_adaptformer"]["median"] for row in steps if row["name"] == "AdaptFormer"} == {1}


def test_an_impossible_rate_is_refused():
    result = run_tool("benchmark.py", "--rates", 1.5)
    assert result.returncode == 2 and "(0, 1)" in result.stderr
