"""The tools of the neighbours' methods, on real digits and on ViT-B/16."""

import json
import logging

import pytest
import torch
from mmengine.config import Config

from mmdyt.evaluation import build_uninitialised
from mmdyt.models.utils.prompt_pruning import read_kept_prompts
from mmdyt.models.utils.sensitivity import load_selection
from tests.conftest import build
from tests.test_tools.test_flops_tools import run_tool
from tools.analysis_tools import prompt_importance, sensitivity


@pytest.fixture(autouse=True)
def _logging_stays(monkeypatch):
    monkeypatch.setattr(logging, "disable", lambda level: None)


def plain(cfg: Config, tmp_path, **backbone) -> str:
    cfg.model.backbone.update(dict(dispatch=None, adapter=None) | backbone)
    cfg.model.dyt = None
    cfg.dump(tmp_path / "config.py")
    return str(tmp_path / "config.py")


def test_sensitivity_writes_a_selection_a_budget_that_trains(digits_cfg, tmp_path, run_main):
    config = plain(digits_cfg, tmp_path)
    out = tmp_path / "spt.safetensors"
    size = ("--batches", 2, "--batch-size", 10, "--rank", 2)
    run_main(sensitivity.main, config, "--budget", 0.0, 0.02, *size, "--out", out)
    first = load_selection(str(tmp_path / "spt_0.02.safetensors"))[0]
    assert load_selection(str(tmp_path / "spt_0.safetensors"))[0].total == 32
    digits_cfg.model.backbone.update(
        type="mmdyt.SPTViT", selection=str(tmp_path / "spt_0.02.safetensors"), rank=2
    )
    model = build(digits_cfg.model)
    trained = sum(p.numel() for p in model.backbone.parameters() if p.requires_grad)
    assert trained == first.total
    # The same seed scores alike.
    run_main(sensitivity.main, config, "--budget", 0.02, *size, "--out", out)
    again = load_selection(str(out))[0]
    assert again.structured == first.structured and again.vectors == first.vectors
    assert all(torch.equal(again.indices[name], first.indices[name]) for name in first.indices)


@pytest.mark.parametrize("dispatch", [None, "mlp"])
def test_prompt_importance_writes_what_the_backbone_keeps(digits_cfg, tmp_path, run_main, dispatch):
    prompts = dict(type="mmdyt.PromptedViT", num_prompts=5, kv_prompts=2)
    dyt = digits_cfg.model.dyt
    config = plain(digits_cfg, tmp_path, dispatch=dispatch, **prompts)
    if dispatch:
        digits_cfg.model.dyt = dyt
        digits_cfg.dump(config)
    state = build_uninitialised(digits_cfg).state_dict()
    torch.save(dict(state_dict=state), tmp_path / "epoch_1.pth")
    out = tmp_path / "kept.safetensors"
    shares = ("--drop-tokens", 0.4, "--drop-segments", 0.5, "--batches", 2)
    run_main(prompt_importance.main, config, tmp_path / "epoch_1.pth", out, *shares)
    mask = read_kept_prompts(str(out), 5, 32)
    assert mask.shape == (3, 32) and (mask.sum(dim=1) == 16).all()
    digits_cfg.model.backbone.keep = str(out)
    assert build(digits_cfg.model).backbone.num_prompts == 3


def test_the_table_s_rows_are_json():
    methods = ("linear", "ether", "unipelt", "apt")
    done = run_tool("methods_table.py", "--rounds", 0, "--json", "--methods", *methods)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    counts = {name: row["params_added"] for name, row in rows.items()}
    assert counts == dict(linear=0, ether=82_944, unipelt=1_410_672, apt=276_492)
    assert rows["ether"]["gflops"] == rows["linear"]["gflops"] == pytest.approx(17.58, abs=0.01)
    assert rows["apt"]["gflops"] > rows["linear"]["gflops"]
