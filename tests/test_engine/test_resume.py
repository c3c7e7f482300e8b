"""A run that is killed and resumed ends in the weights of an uninterrupted one."""

import signal
import subprocess
import sys
from pathlib import Path

import torch
from mmengine.runner import Runner

from tests.conftest import REPO

# A real SIGKILL inside the training, in the middle of the third epoch.
KILL = """
import os, signal
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

class KillHook(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 9:
            os.kill(os.getpid(), signal.SIGKILL)

runner = Runner.from_cfg(Config.fromfile({config!r}))
runner.register_hook(KillHook())
runner.train()
"""


def test_kill_and_resume_equals_uninterrupted(digits_cfg, tmp_path):
    digits_cfg.train_cfg.max_epochs = 4
    digits_cfg.train_cfg.val_interval = 3
    # 50 px scans of dropout, Gumbel noise, shuffling and random crops all draw.
    pipeline = digits_cfg.train_dataloader.dataset.pipeline
    pipeline.insert(2, dict(type="RandomCrop", crop_size=28, padding=3))
    straight, broken = digits_cfg.copy(), digits_cfg.copy()
    straight.work_dir, broken.work_dir = str(tmp_path / "straight"), str(tmp_path / "broken")

    Runner.from_cfg(straight).train()
    broken.dump(tmp_path / "broken.py")
    script = KILL.format(config=str(tmp_path / "broken.py"))
    killed = subprocess.run([sys.executable, "-c", script], cwd=REPO, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    assert Path(broken.work_dir, "last_checkpoint").read_text().endswith("epoch_2.pth")

    broken.resume = True
    runner = Runner.from_cfg(broken)
    runner.train()
    expected, resumed = (
        torch.load(Path(cfg.work_dir, "epoch_4.pth"), weights_only=False)
        for cfg in (straight, broken)
    )
    assert resumed["meta"]["iter"] == expected["meta"]["iter"] == 16
    for name, tensor in expected["state_dict"].items():
        assert torch.equal(resumed["state_dict"][name], tensor), name
