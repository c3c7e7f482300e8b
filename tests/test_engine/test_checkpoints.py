"""Which checkpoint a run goes on from, and whose files are whose."""

import os
import resource
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import METRICS
from mmengine.runner import Runner

from mmdyt.engine.checkpoints import (
    is_complete,
    newest_checkpoint,
    set_aside,
    use_safe_checkpoints,
)
from mmdyt.engine.hooks import CheckpointHook


def write(folder: Path, *names: str, pointer: str | None = None) -> None:
    for name in names:
        torch.save(dict(state_dict=dict(weight=torch.ones(100))), folder / name)
    if pointer is not None:
        (folder / "last_checkpoint").write_text(pointer)


def changed(cfg: Config, **keys) -> Config:
    cfg = Config(cfg.to_dict(), format_python_code=False)  # formatting takes seconds a run
    cfg.merge_from_dict(keys)
    return cfg


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def test_the_pointer_counts_by_its_name_where_the_folder_moved(tmp_path):
    write(tmp_path, "epoch_1.pth", "epoch_2.pth", pointer="/old/place/epoch_1.pth")
    assert newest_checkpoint(tmp_path) == tmp_path / "epoch_1.pth"


@pytest.mark.parametrize("pointer", [None, "", "epoch_11.pth", "epoch_12.pth"])
def test_the_newest_whole_checkpoint_stands_in(tmp_path, pointer):
    write(tmp_path, "epoch_9.pth", "epoch_10.pth", "epoch_11.pth", pointer=pointer)
    write(tmp_path, "best_acc_epoch_12.pth", ".epoch_12.writing-host_1.pth")
    tear(tmp_path / "epoch_11.pth")
    assert newest_checkpoint(tmp_path) == tmp_path / "epoch_10.pth"


def test_a_flipped_bit_is_no_whole_checkpoint(tmp_path):
    write(tmp_path, path := "epoch_1.pth")
    assert is_complete(tmp_path / path)
    content = bytearray((tmp_path / path).read_bytes())
    content[content.index(torch.ones(100).numpy().tobytes()) + 5] ^= 1
    (tmp_path / path).write_bytes(content)
    assert not is_complete(tmp_path / path)


def test_only_torn_checkpoints_are_refused_and_none_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    write(tmp_path, "vit_20220622.pth")  # no business of a fresh work dir
    assert newest_checkpoint(tmp_path / "run") is None
    (tmp_path / "vit_20220622.pth").unlink()
    assert newest_checkpoint(tmp_path) is None
    write(tmp_path, "iter_4.pth", pointer=str(tmp_path / "iter_4.pth"))
    tear(tmp_path / "iter_4.pth")
    with pytest.raises(ValueError, match=r"none of \['iter_4\.pth'\] is complete"):
        newest_checkpoint(tmp_path)


def test_earlier_files_get_a_folder_each_time(tmp_path):
    for number in (1, 2):
        write(tmp_path, "epoch_1.pth")
        folder = set_aside([tmp_path / "epoch_1.pth", tmp_path / "none"], tmp_path)
        assert folder == tmp_path / f"earlier_{number}"
        assert [path.name for path in folder.iterdir()] == ["epoch_1.pth"]
    assert set_aside([tmp_path / "none"], tmp_path) is None


def test_configs_of_the_task_libraries_get_the_hook_too():
    for hooks, wanted in (
        ({}, "mmdyt.CheckpointHook"),
        (dict(checkpoint=dict(type="CheckpointHook", interval=5)), "mmdyt.CheckpointHook"),
        (dict(checkpoint=dict(type="MyHook")), "MyHook"),
    ):
        cfg = Config(dict(default_hooks=hooks))
        use_safe_checkpoints(cfg)
        interval = hooks.get("checkpoint", {}).get("interval", 1 if not hooks else None)
        hook = cfg.default_hooks.checkpoint
        assert (hook.type, hook.get("interval")) == (wanted, interval)
    cfg = Config(dict(default_hooks=dict(checkpoint=None)))
    use_safe_checkpoints(cfg)
    assert cfg.default_hooks.checkpoint is None
    with pytest.raises(ValueError, match=r"out_dir='s3://bucket' is no local folder"):
        CheckpointHook(out_dir="s3://bucket")
    CheckpointHook(backend_args=None)
    with pytest.raises(ValueError, match=r"backend_args=\{'backend': 'petrel'\}"):
        CheckpointHook(backend_args=dict(backend="petrel"))


def test_a_best_checkpoint_that_is_written_again_stays(digits_cfg):
    """Two validations at one epoch, as where a resume validates first."""
    digits_cfg.default_hooks.checkpoint.save_best = "accuracy/top1"
    runner = Runner.from_cfg(changed(digits_cfg))
    runner.train()
    hook = next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    for accuracy in (200.0, 300.0):
        hook._save_best_checkpoint(runner, {"accuracy/top1": accuracy})
        best = [path.name for path in Path(runner.work_dir).glob("best_*")]
        assert best == ["best_accuracy_top1_epoch_2.pth"]
        assert is_complete(Path(runner.work_dir, "epoch_2.pth"))


def test_a_resume_past_a_torn_file_says_so_and_a_new_run_sets_aside(digits_cfg):
    digits_cfg.log_level = "WARNING"
    Runner.from_cfg(changed(digits_cfg)).train()
    folder = Path(digits_cfg.work_dir)
    expected = torch.load(folder / "epoch_2.pth", weights_only=False)["state_dict"]
    tear(folder / "epoch_2.pth")
    Runner.from_cfg(changed(digits_cfg, resume=True)).train()
    assert "epoch_2.pth', which is no complete checkpoint: going on from" in logs(folder)
    resumed = torch.load(folder / "epoch_2.pth", weights_only=False)["state_dict"]
    assert all(torch.equal(resumed[name], tensor) for name, tensor in expected.items())

    Runner.from_cfg(changed(digits_cfg, load_from=str(folder / "epoch_1.pth"))).train()
    assert "holds the checkpoints of an earlier run" in logs(folder)
    names = {"epoch_1.pth", "epoch_2.pth", "last_checkpoint", "adapter.safetensors"}
    assert {path.name for path in (folder / "earlier_1").iterdir()} == names
    assert names <= {path.name for path in folder.iterdir()}
    assert newest_checkpoint(folder / "earlier_1") == folder / "earlier_1/epoch_2.pth"


def logs(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.glob("*/*.log"))


@METRICS.register_module()
class FallingMetric(BaseMetric):
    """An accuracy that falls after the first validation that it sees."""

    calls = 0

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        FallingMetric.calls += 1
        return dict(acc=1 / FallingMetric.calls)


class StopHook(Hook):
    """End a run where a validation would begin."""

    def before_val(self, runner):
        raise KeyboardInterrupt


def test_a_resume_validates_what_the_end_of_the_run_prevented(digits_cfg):
    digits_cfg.default_hooks.checkpoint.save_best = "acc"
    digits_cfg.val_evaluator = dict(type="FallingMetric")
    runner = Runner.from_cfg(changed(digits_cfg))
    runner.register_hook(StopHook())
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    assert FallingMetric.calls == 0
    (Path(digits_cfg.work_dir) / "best_acc_epoch_0.pth").touch()  # no business of this run
    Runner.from_cfg(changed(digits_cfg, resume=True)).train()
    best = {path.name for path in Path(digits_cfg.work_dir).glob("best_*")}
    assert best == {"best_acc_epoch_0.pth", "best_acc_epoch_1.pth"} and FallingMetric.calls == 2


class FullDiskHook(Hook):
    """Let no file grow in the second epoch, as on a full disk."""

    priority = "HIGHEST"

    def before_save_checkpoint(self, runner, checkpoint):
        if runner.epoch == 1:
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))


def test_a_full_disk_is_named_and_old_files_stand(digits_cfg):
    digits_cfg.default_hooks.checkpoint.max_keep_ckpts = 1
    runner = Runner.from_cfg(changed(digits_cfg))
    runner.register_hook(FullDiskHook())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OSError) as caught:
            runner.train()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    folder = Path(digits_cfg.work_dir)
    told = str(caught.value)
    assert "the checkpoint was not saved" in told
    assert f"{folder / 'epoch_1.pth'} stands, and --resume goes on from it" in told
    assert caught.value.filename == os.fspath(folder / "adapter.safetensors")
    assert newest_checkpoint(folder) == folder / "epoch_1.pth"
    assert not list(folder.glob(".*"))
