"""A resume goes on with the same model and optimiser, or names what differs."""

import math
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmdyt.engine import resume_checks
from mmdyt.engine.checkpoints import use_safe_checkpoints
from mmdyt.engine.resume_checks import read_config, require_same_groups, require_same_run
from tests.conftest import CONFIGS


def test_a_stored_config_is_read_without_running_it(tmp_path):
    cfg = Config.fromfile(CONFIGS / "segmentation/demo/dyt_vit-mini_fcn_fashion-scenes.py")
    read = read_config(cfg.pretty_text)
    for name, value in cfg.to_dict().items():
        assert read[name] == value, name
    made = tmp_path / "made"
    evil = f"import os\nmodel = os.mkdir({str(made)!r})\nother = dict(a=1)\n"
    assert read_config(evil) == dict(other=dict(a=1)) and not made.exists()
    infinite = read_config("model = dict(a=inf, b=-inf)")
    assert infinite == dict(model=dict(a=math.inf, b=-math.inf))


def test_a_section_that_cannot_be_read_is_named(monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(resume_checks, "print_log", lambda message, *_: told.append(message))
    read_config("model = dict(a=nobody_knows)\nother = nobody_knows")
    assert len(told) == 1 and "model of the checkpoint's config is not compared" in told[0]


LAZY = """
from mmengine.hooks import CheckpointHook
from mmengine.optim import OptimWrapper
from torch.optim import AdamW

from mmdyt.integrations.mmpretrain import DyTImageClassifier

model = dict(type=DyTImageClassifier, head=dict(num_classes=3))
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=AdamW, lr=1e-3))
default_hooks = dict(checkpoint=dict(type=CheckpointHook, interval=7))
"""


def test_a_config_of_lazy_imports_resumes_onto_itself(tmp_path):
    (tmp_path / "lazy.py").write_text(LAZY)
    cfg = Config.fromfile(tmp_path / "lazy.py", lazy_import=True)
    stored = cfg.pretty_text
    use_safe_checkpoints(cfg)
    hook = cfg.default_hooks.checkpoint
    assert (hook.type, hook.interval) == ("mmdyt.CheckpointHook", 7)
    require_same_run(stored, cfg)
    named = dict(type="mmdyt.DyTImageClassifier", head=dict(num_classes=3))
    require_same_run(stored, Config(dict(model=named)))
    named["head"]["num_classes"] = 4
    with pytest.raises(ValueError, match=r"model\.head\.num_classes: 3 in the checkpoint, 4 now"):
        require_same_run(stored, Config(dict(model=named)))


def test_resume_onto_another_model_or_optimiser_is_refused(digits_cfg):
    digits_cfg.train_cfg.max_epochs = 1
    digits_cfg.train_cfg.val_interval = 5
    digits_cfg.custom_hooks = []  # the check is no matter of these
    runner = Runner.from_cfg(digits_cfg.copy())
    runner.train()
    changes = {
        "model.backbone.dispatch": ("attn", r"dispatch: 'mlp' in the checkpoint, 'attn' now"),
        "model.backbone.adapter.scale": (0.5, r"scale: 1\.0 in the checkpoint, 0\.5 now"),
        "model.dyt.target_rate": (0.7, r"target_rate: 0\.5 in the checkpoint, 0\.7 now"),
        "optim_wrapper.optimizer.lr": (0.5, r"optimizer\.lr: .* in the checkpoint, 0\.5 now"),
        "data_preprocessor.mean": ([0.0] * 3, r"data_preprocessor\.mean: "),
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
