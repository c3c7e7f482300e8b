"""A run that is killed and resumed ends in the weights of an uninterrupted one."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.dataset import BaseDataset
from mmengine.runner import Runner

from tests.conftest import REPO
from tests.test_engine.ending_hook import EndingHook

# A real SIGKILL inside the training, in the middle of the third epoch.
KILL = """
import os, signal, torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

torch.set_num_threads({threads})  # sums depend on it

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
    # Shuffling, random crops, dropout and Gumbel noise all draw random numbers.
    pipeline = digits_cfg.train_dataloader.dataset.pipeline
    pipeline.insert(2, dict(type="RandomCrop", crop_size=28, padding=3))
    straight, broken = digits_cfg.copy(), digits_cfg.copy()
    straight.work_dir, broken.work_dir = str(tmp_path / "straight"), str(tmp_path / "broken")

    Runner.from_cfg(straight).train()
    broken.dump(tmp_path / "broken.py")
    script = KILL.format(config=str(tmp_path / "broken.py"), threads=torch.get_num_threads())
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


@pytest.mark.parametrize("num_workers", [0, 2])
def test_iterations_resume_exactly_without_loading_what_was_seen(
    tmp_path, num_workers, monkeypatch
):
    """Segmentation with every random transform of its recipes, ended in its seventh iteration."""
    pytest.importorskip("mmseg")
    from tests.faults import runs

    runs.write_scenes(tmp_path)
    cfg = runs.segmentation_config(tmp_path)
    straight = runs.prepared(cfg, tmp_path / "straight", "mmdyt")
    Runner.from_cfg(straight).train()

    broken = runs.prepared(cfg, tmp_path / "broken", "mmdyt", num_workers)
    runner = Runner.from_cfg(broken)
    runner.register_hook(EndingHook(at=6, how="RuntimeError"))
    with pytest.raises(RuntimeError, match="ended before iteration 6"):
        runner.train()

    loaded = []
    original = BaseDataset.prepare_data

    def prepare_data(self, idx):
        if not self.test_mode:
            loaded.append(idx)
        return original(self, idx)

    monkeypatch.setattr(BaseDataset, "prepare_data", prepare_data)
    broken.resume = True
    Runner.from_cfg(broken).train()
    if num_workers == 0:
        assert len(loaded) == 2 * (12 - 4), "two images for each iteration after the fourth"
    ends = [runs.result(tmp_path / name) for name in ("straight", "broken")]
    assert runs.equal(*ends)
