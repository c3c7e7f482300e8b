"""What the hooks add to, and refuse of, an ordinary run."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from PIL import Image

from mmdyt.datasets.preflight import find_problems
from mmdyt.engine.hooks import DispatchStatsHook
from mmdyt.evaluation import CostAccount
from mmdyt.fileio import load_from_safetensors
from mmdyt.models.utils import collect_dispatch, dispatched_layers
from tests.conftest import build, tiny_backbone


def scalars(runner) -> list[dict]:
    log = next(Path(runner.work_dir).glob("*/vis_data/scalars.json"))
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_rates_and_gflops_reach_metrics_json_and_tensorboard(digits_cfg):
    runner = Runner.from_cfg(digits_cfg)
    runner.train()
    metrics = runner.test()
    names = [f"dispatch/rate_{layer:02d}_mlp" for layer in range(3)]
    rates = [metrics[name] for name in names]
    assert all(0 <= rate <= 1 for rate in rates)
    assert metrics["dispatch/activation_rate"] == pytest.approx(sum(rates) / 3)

    # 49 + 1 tokens, MLP of 2 x 32 x 64 plus a norm: what the mean rate leaves out.
    complete = CostAccount(runner.model).flops_at_rate(torch.zeros(1, 3, 28, 28), 1.0)
    spared = (3 - sum(rates)) * 49 * (2 * 32 * 64 + 5 * 32)
    assert metrics["dispatch/gflops"] * 1e9 == pytest.approx(complete - spared)

    validated = [entry for entry in scalars(runner) if "dispatch/gflops" in entry]
    assert len(validated) == 2, "one entry per epoch"
    assert set(names) <= set(validated[0])
    events = next(Path(runner.work_dir).glob("*/vis_data/events.out*"))
    assert b"dispatch/rate_00_mlp" in events.read_bytes()


def test_collectors_are_closed_after_an_evaluation(digits_cfg):
    runner = Runner.from_cfg(digits_cfg)
    runner.test()
    assert all(not layer.collectors for layer in runner.model.backbone.layers)
    assert not runner.model.backbone._forward_pre_hooks


class Twins(torch.nn.Module):
    """Two dispatched backbones, and a step that may break off."""

    def __init__(self):
        super().__init__()
        self.backbone, self.other = build(tiny_backbone()), build(tiny_backbone())
        self.eval()

    def forward(self, images):
        return self.backbone(images), self.other(images)


@torch.no_grad()
def test_statistics_of_several_sizes_backbones_and_of_steps_that_broke_off():
    model = Twins()
    hook, runner, metrics = DispatchStatsHook(), SimpleNamespace(model=model), {}
    hook.before_val_epoch(runner)
    hook.before_val_iter(runner, 0)
    model(torch.randn(2, 3, 28, 28))  # and no after_val_iter
    expected = []
    for batch in (0, 1):
        hook.before_val_iter(runner, batch)
        for size, images in ((28, 3), (32, 1)):
            inputs = torch.randn(images, 3, size, size)
            with collect_dispatch(model) as records:
                model(inputs)
            expected.append(CostAccount(model).flops(records, inputs))
        hook.after_val_iter(runner, batch)
    hook.before_val_iter(runner, 2)
    hook.after_val_iter(runner, 2)  # a step that ran no backbone
    hook.before_val_iter(runner, 3)
    hook.after_val_epoch(runner, metrics)
    assert metrics["dispatch/gflops"] == pytest.approx(float(torch.cat(expected).mean()) / 1e9)
    for name in ("backbone", "other"):
        assert 0 < metrics[f"dispatch/{name}.layers.1/rate_01_mlp"] < 1
    assert not any(layer.collectors for layer in dispatched_layers(model))


class Ensemble(BaseModel):
    """Two dispatched backbones of which none is the model's own, run by ``val_step``."""

    def __init__(self):
        super().__init__()
        self.teacher, self.student = build(tiny_backbone()), build(tiny_backbone())

    def forward(self, inputs, data_samples=None, mode="tensor"):
        return [self.teacher(inputs), self.student(inputs)]


def test_statistics_of_a_model_whose_backbones_have_other_names():
    model = Ensemble().eval()
    hook, runner, metrics = DispatchStatsHook(), SimpleNamespace(model=model), {}
    hook.before_val_epoch(runner)
    for size in (28, 32):
        hook.before_val_iter(runner, 0)
        model.val_step(dict(inputs=torch.randn(2, 3, size, size)))
        hook.after_val_iter(runner, 0)
    hook.after_val_epoch(runner, metrics)
    assert metrics["dispatch/gflops"] > 0
    assert {
        "dispatch/teacher.layers.0/rate_00_mlp",
        "dispatch/student.layers.0/rate_00_mlp",
    } <= set(metrics)


def test_nan_stops_the_run_and_keeps_the_last_checkpoint(digits_cfg):
    digits_cfg.train_cfg.max_epochs = 1
    runner = Runner.from_cfg(digits_cfg.copy())
    runner.train()
    good = Path(runner.work_dir, "epoch_1.pth").read_bytes()

    digits_cfg.train_cfg.max_epochs = 3
    digits_cfg.resume = True
    runner = Runner.from_cfg(digits_cfg)
    with torch.no_grad():
        runner.call_hook = _poison_after_loading(runner)
    with pytest.raises(FloatingPointError, match=r"iteration 5: .*dynamic\.loss = nan.*all terms"):
        runner.train()
    assert Path(runner.work_dir, "epoch_1.pth").read_bytes() == good
    assert not Path(runner.work_dir, "epoch_2.pth").exists()
    assert Path(runner.work_dir, "last_checkpoint").read_text().endswith("epoch_1.pth")


class OverflowHook(Hook):
    """What a gradient that is NaN leaves behind after an iteration with a finite loss."""

    priority = "VERY_HIGH"

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 7:
            runner.model.head.fc.weight.data[0, 0] = float("nan")


def test_weights_that_are_not_finite_are_not_saved(digits_cfg):
    runner = Runner.from_cfg(digits_cfg)
    runner.register_hook(OverflowHook())
    adapter = Path(runner.work_dir, "adapter.safetensors")
    with pytest.raises(FloatingPointError, match=r"iteration 8: \['head\.fc\.weight'\] \(1 in all"):
        runner.train()
    assert Path(runner.work_dir, "last_checkpoint").read_text().endswith("epoch_1.pth")
    assert not Path(runner.work_dir, "epoch_2.pth").exists()
    assert load_from_safetensors(str(adapter))["meta"]["epoch"] == 1


def _poison_after_loading(runner):
    """Put a NaN into the head when the training begins."""
    call_hook = runner.call_hook

    def call(name, **kwargs):
        if name == "before_train":
            runner.model.head.fc.weight.data.fill_(float("nan"))
        call_hook(name, **kwargs)

    return call


def test_preflight_reports_every_bad_file_before_training(digits_cfg, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for index in range(4):
        Image.new("RGB", (8, 8), (index, 0, 0)).save(data / f"{index}.png")
    (data / "1.png").write_bytes((data / "1.png").read_bytes()[:50])
    (data / "2.png").write_bytes(b"")
    (data / "list.txt").write_text("0.png 0\n1.png 1\n2.png 2\nnone.png 3\n3.png 12\n")
    dataset = digits_cfg.train_dataloader.dataset
    dataset.data_root, dataset.ann_file, dataset.indices = str(data), "list.txt", None
    runner = Runner.from_cfg(digits_cfg)
    with pytest.raises(ValueError) as caught:
        runner.train()
    told = str(caught.value)
    assert "train_dataloader has 4 bad samples" in told
    for part in ("1.png: unreadable", "2.png: unreadable", "none.png: missing"):
        assert part in told
    assert "3.png: label 12 is outside [0, 10)" in told
    assert not list(Path(runner.work_dir).glob("*.pth"))


def test_preflight_checks_every_label_of_a_multi_label_sample():
    class MultiLabel(list):
        get_data_info = list.__getitem__

    labels = [[1, 2], [], [3, 12]]
    dataset = MultiLabel(dict(gt_label=label, sample_idx=i) for i, label in enumerate(labels))
    assert find_problems(dataset, 10) == [
        ("sample 2", "label", "label 12 is outside [0, 10)"),
    ]


def test_missing_data_folder_is_named_before_training(digits_cfg):
    digits_cfg.train_dataloader.dataset.data_root = "no/such/folder"
    with pytest.raises(FileNotFoundError, match="no/such/folder"):
        Runner.from_cfg(digits_cfg).train()


def test_a_warm_up_of_one_iteration_is_refused(digits_cfg):
    """Two epochs of one iteration rise to the full rate; one would stay at the first step's."""
    digits_cfg.train_dataloader.batch_size = 40
    digits_cfg.train_cfg.max_epochs = 3
    digits_cfg.val_cfg = digits_cfg.val_dataloader = digits_cfg.val_evaluator = None
    runner = Runner.from_cfg(digits_cfg)
    runner.train()
    assert runner.optim_wrapper.get_lr()["lr"][0] > 0.9e-3
    digits_cfg.param_scheduler[0].end = 1
    digits_cfg.experiment_name = "one_iteration"
    with pytest.raises(ValueError, match=r"param_scheduler\.0 \(LinearLR\) covers one iteration"):
        Runner.from_cfg(digits_cfg).train()
