"""tools/bank.py: two trained tasks go into a folder, and their test gives their own figures."""

from copy import deepcopy

import pytest
import torch
from mmengine.runner import Runner
from safetensors.torch import save_file

import mmdyt
from tests.conftest import TINY_ARCH, build, tiny_classifier
from tools.bank import main


@pytest.fixture
def trained(digits_cfg, tmp_path):
    """Work dirs of two runs on one random base, DyT and AdaptFormer, and their accuracies."""
    arch = digits_cfg.model.backbone.arch
    plain = build(dict(type="VisionTransformer", arch=arch, img_size=28, patch_size=4))
    plain.init_weights()
    torch.save(plain.state_dict(), tmp_path / "base.pth")
    found = {}
    for task, dispatch in (("dyt", "mlp"), ("adaptformer", None)):
        cfg = deepcopy(digits_cfg)
        cfg.work_dir = str(tmp_path / task)
        cfg.model.backbone.dispatch = dispatch
        cfg.model.backbone.init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "base.pth"))
        if dispatch is None:
            cfg.model.dyt = None
        runner = Runner.from_cfg(cfg)
        runner.train()
        found[task] = runner.test()
    return found


def test_a_bank_is_filled_listed_and_tested(trained, tmp_path, run_main, capsys):
    bank = tmp_path / "bank"
    for task in trained:
        run_main(main, "add", bank, task, tmp_path / task / "adapter.safetensors")
    assert "holds dyt, adaptformer" in capsys.readouterr().out.replace("\n", " ")
    with pytest.raises(SystemExit, match="has a task 'dyt' already"):
        run_main(main, "add", bank, "dyt", tmp_path / "dyt/adapter.safetensors")
    with pytest.raises(SystemExit, match="letters, digits, _ and - only, got 'a/b'"):
        run_main(main, "add", bank, "a/b", tmp_path / "dyt/adapter.safetensors")
    capsys.readouterr()
    run_main(main, "list", bank)
    rows = rows_of(capsys.readouterr().out)
    assert rows["dyt"][1:3] == ["10", "mlp"] and rows["adaptformer"][1:3] == ["10", "None"]
    run_main(main, "test", bank, "--batch-size", 7)
    rows = rows_of(capsys.readouterr().out)
    for task, metrics in trained.items():
        images, given, rate, gap = rows[task][1:]
        assert images == "20" and given == f"accuracy/top1 {metrics['accuracy/top1']:.2f}"
        assert float(rate) == pytest.approx(metrics.get("dispatch/activation_rate", 1), abs=1e-3)
        assert float(gap) < 1e-5


def rows_of(out: str) -> dict[str, list[str]]:
    """Cells of a printed table's rows by the first of them."""
    rows = [[c.strip() for c in line.strip("│").split("│")] for line in out.splitlines()]
    return {row[0]: row for row in rows if len(row) > 1}


def test_an_empty_bank_is_named(tmp_path, run_main):
    with pytest.raises(SystemExit, match=r"no bank in .*: it holds no <task>\.safetensors"):
        run_main(main, "list", tmp_path)


def test_scripts_beside_an_adapter_are_not_run(tmp_path, run_main, capsys):
    """And a foreign file in a bank is named."""
    base = build(dict(type="VisionTransformer", arch=TINY_ARCH, img_size=28, patch_size=4))
    torch.save(base.state_dict(), tmp_path / "base.pth")
    init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "base.pth"))
    model = build(tiny_classifier(dict(init_cfg=init_cfg)))
    model.init_weights()
    mmdyt.save_adapter(model, tmp_path / "adapter.safetensors")
    (tmp_path / "setup.py").write_text("raise RuntimeError('it ran')")
    run_main(main, "add", tmp_path / "bank", "one", tmp_path / "adapter.safetensors")
    assert "one can be used, but not tested" in capsys.readouterr().out.replace("\n", " ")
    save_file(dict(weight=torch.zeros(2)), tmp_path / "bank/other.safetensors")
    with pytest.raises(SystemExit, match=r"other\.safetensors is no adapter file"):
        run_main(main, "list", tmp_path / "bank")
