"""A resume goes on with the same model and optimiser, or names what differs."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmdyt.engine.resume_checks import read_config, require_same_groups
from tests.conftest import CONFIGS


def test_a_stored_config_is_read_without_running_it(tmp_path):
    cfg = Config.fromfile(CONFIGS / "segmentation/demo/dyt_vit-mini_fcn_fashion-scenes.py")
    read = read_config(cfg.pretty_text)
    for name, value in cfg.to_dict().items():
        assert read[name] == value, name
    made = tmp_path / "made"
    evil = f"import os\nmodel = os.mkdir({str(made)!r})\nother = dict(a=1)\n"
    assert read_config(evil) == dict(other=dict(a=1)) and not made.exists()


def test_resume_onto_another_model_or_optimiser_is_refused(digits_cfg):
    digits_cfg.train_cfg.max_epochs = 1
    digits_cfg.train_cfg.val_interval = 5
    runner = Runner.from_cfg(digits_cfg.copy())
    runner.train()
    changes = {
        "model.backbone.dispatch": ("attn", r"dispatch: 'mlp' in the checkpoint, 'attn' now"),
        "model.backbone.adapter.scale": (0.5, r"scale: 1\.0 in the checkpoint, 0\.5 now"),
        "model.dyt.target_rate": (0.7, r"target_rate: 0\.5 in the checkpoint, 0\.7 now"),
        "optim_wrapper.optimizer.lr": (0.5, r"optimizer\.lr: .* in the checkpoint, 0\.5 now"),
    }
    for key, (value, told) in changes.items():
        cfg = digits_cfg.copy()
        cfg.merge_from_dict({key: value, "resume": True})
        with pytest.raises(ValueError, match=rf"cannot resume.*{told}.*--cfg-options"):
            Runner.from_cfg(cfg).train()
    cfg = digits_cfg.copy()
    cfg.merge_from_dict({"resume": True, "train_cfg.max_epochs": 2, "model.backbone.with_cp": True})
    Runner.from_cfg(cfg).train()
    assert Path(cfg.work_dir, "epoch_2.pth").exists()

    stored = dict(param_groups=[dict(params=[0, 1]), dict(params=[2])])
    with pytest.raises(ValueError, match=r"2 parameter groups of 3 .* which holds .*cls_token"):
        require_same_groups(stored, runner.optim_wrapper, runner.model)
    require_same_groups(runner.optim_wrapper.state_dict(), runner.optim_wrapper, runner.model)
