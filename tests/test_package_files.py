"""What comes with mmdyt is found from any folder, and configs inherit from it by ``mmdyt::``."""

import sys

import mmengine.hub
import pytest
from mmengine.config import Config

from mmdyt.engine.config_keys import load_config
from mmdyt.engine.run_checks import require_checkpoint
from mmdyt.engine.suite import Suite
from mmdyt.fileio import load_from_safetensors, locked
from mmdyt.package_files import ROOT, package_file
from tests.conftest import CONFIGS, build

ASSET = "assets/vit-mini-p4_fashion-mnist-28px.safetensors"
LEAF = "image/digits/vit-mini_dyt_digits.py"


def test_configs_suites_and_weights_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = load_config(f"configs/{LEAF}")
    assert cfg.model.backbone.init_cfg.checkpoint == ASSET
    require_checkpoint(ASSET, "model.backbone.init_cfg.checkpoint")
    model = build(cfg.model)
    model.init_weights()
    weights = load_from_safetensors(ASSET)["state_dict"]
    assert model.backbone.cls_token.equal(weights["backbone.cls_token"])
    (run, *_) = Suite.fromfile("configs/suites/vtab1k.py").runs()
    assert run.config().model.type == "mmdyt.DyTImageClassifier"


def test_a_file_of_the_folder_one_starts_from_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert package_file(ASSET) == ROOT / ASSET
    (tmp_path / "assets").mkdir()
    (tmp_path / ASSET).write_text("own")
    assert package_file(ASSET).read_text() == "own"
    assert str(package_file("assets/nowhere.npz")) == "assets/nowhere.npz"


def test_a_base_of_ours_is_as_if_it_stood_beside_the_config(tmp_path, monkeypatch):
    """No scope of ours: what is registered with mmpretrain only is found."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "own.py"
    path.write_text(f'_base_ = ["mmdyt::{LEAF}"]\nmodel = dict(dyt=dict(target_rate=0.7))\n')
    cfg = Config.fromfile(path)
    assert "_scope_" not in cfg.pretty_text
    assert build(cfg.model).objective.target_rate == 0.7
    cfg.model.dyt.target_rate = 0.5
    assert cfg.to_dict() == Config.fromfile(CONFIGS / LEAF).to_dict()


def test_a_base_of_another_project_keeps_its_scope(tmp_path):
    path = tmp_path / "own.py"
    path.write_text('_base_ = ["mmpretrain::_base_/models/vit-base-p16.py"]\n')
    assert Config.fromfile(path).model._scope_ == "mmpretrain"


def test_a_base_that_does_not_come_with_mmdyt_is_named(tmp_path):
    path = tmp_path / "own.py"
    path.write_text('_base_ = "mmdyt::image/digits/vit-mini_dit_digits.py"\n')
    with pytest.raises(FileNotFoundError, match=r"configs/image/digits/vit-mini_dit_digits\.py"):
        load_config(str(path))


@pytest.mark.skipif(ROOT.name != ".mim", reason="mmdyt was not installed from this folder")
def test_mmengines_hub_finds_our_configs():
    cfg = mmengine.hub.get_config(f"mmdyt::{LEAF}")
    assert cfg.model.type == "mmdyt.DyTImageClassifier"


def test_a_system_without_file_locks_is_told_what_works_there(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows
    with (
        pytest.raises(OSError, match=r"Windows lacks .* use tools/train\.py"),
        locked(tmp_path / "sweep.lock", "another sweep"),
    ):
        pass
