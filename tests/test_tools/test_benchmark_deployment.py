"""All runtimes answer alike and are timed in one table."""

import json
import logging
import sys

import pytest
from mmpretrain.models.backbones import VisionTransformer

from tests.conftest import REPO

pytest.importorskip("openvino", reason="requirements/deploy.txt")
pytest.importorskip("onnxruntime", reason="requirements/deploy.txt")


@pytest.mark.long
def test_every_model_is_timed_in_every_runtime(tmp_path, run_main, monkeypatch, capsys):
    monkeypatch.setattr(logging, "disable", lambda level: None)
    monkeypatch.setattr(sys, "path", [str(REPO / "tools/analysis_tools"), *sys.path])
    arch = dict(embed_dims=64, num_layers=2, num_heads=4, feedforward_channels=128)
    monkeypatch.setitem(VisionTransformer.arch_zoo, "nano", arch)
    from benchmark_deployment import main

    sizes = ["--arch", "nano", "--pixels", 64, "--merge", 1, "--batch-sizes", 1, 2]
    run_main(main, *sizes, "--rounds", 3, "--seconds", 1, "--out", tmp_path)
    printed = capsys.readouterr().out
    assert printed.count("equal logits in torch, torch, packed, onnxruntime, OpenVINO") == 5
    result = json.loads((tmp_path / "benchmark_deployment.json").read_text())
    for batch in (1, 2):
        rows = result[f"batch {batch}"]
        assert len(rows) == 5 * 4
        gflops = {row["model"]: row["gflops"] for row in rows}
        assert max(gflops["DyT, threshold"], gflops["dense"]) < gflops["AdaptFormer"]
        # 16 patches and the class token: half of them exactly.
        assert gflops["DyT, capacity"] == pytest.approx(gflops["DyT, threshold"], rel=0.05)
        for row in rows:
            assert row["ideal"] == pytest.approx(gflops["dense"] / row["gflops"])
            assert (row["clock"] is not None) == row["model"].startswith("DyT")
            assert row["seconds"]["median"] > 0
            assert row["held_mib"] is not None
