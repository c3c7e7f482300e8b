"""A bank: each image gets what its task's own model gives it, and foreign tasks are refused."""

import re
import shutil

import pytest
import torch
from torch import Tensor

import mmdyt
from mmdyt.engine.adapter_bank import AdapterBank
from mmdyt.models.utils import collect_dispatch, dispatch_mode, pack_linears
from tests.conftest import (
    REPO,
    TINY_ARCH,
    build,
    randomise_adapters,
    tiny_backbone,
    tiny_classifier,
)
from tests.test_models.helpers import spread_dispatch

PAGE = REPO / "docs/adapter_bank.md"
MOE = dict(type="mmdyt.MoEAdapter", num_experts=3, bottleneck_dims=4)
# What may differ between the tasks of a bank.
TASKS = {
    "plain": dict(),
    "narrow": dict(adapter=dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=4, norm="out")),
    "moe": dict(adapter=MOE, num_dense_layers=1),
    "random": dict(dispatcher=dict(type="mmdyt.RandomDispatcher", rate=0.3)),
    "attention": dict(dispatch="attn_mlp"),
    "adaptformer": dict(dispatch=None),
    "probe": dict(dispatch=None, adapter=None),
    "on the grid": dict(adapter=dict(type="mmdyt.InputConditionedAdapter", bottleneck_dims=4)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bank")


def save_base(folder, name: str = "base.pth") -> str:
    plain = build(dict(type="VisionTransformer", arch=TINY_ARCH, img_size=28, patch_size=4))
    plain.init_weights()
    for param in plain.parameters():
        torch.nn.init.normal_(param, std=0.2)
    torch.save(plain.state_dict(), folder / name)
    return str(folder / name)


def save_task(folder, name: str, base: str, backbone: dict, classes: int = 10, **overrides):
    """Write the adapter file of a model with weights that matter."""
    init_cfg = dict(type="Pretrained", checkpoint=base)
    config = tiny_classifier(
        tiny_backbone(**backbone, init_cfg=init_cfg),
        head=dict(type="LinearClsHead", num_classes=classes, in_channels=32),
        data_preprocessor=dict(mean=[classes] * 3, std=[100.0] * 3),
        dyt=None,
        **overrides,
    )
    model = build(config)
    model.init_weights()
    randomise_adapters(model)
    torch.nn.init.normal_(model.head.fc.weight, std=0.2)
    if "RandomDispatcher" not in str(backbone):
        spread_dispatch(model)
    file = folder / f"{name}.safetensors"
    mmdyt.save_adapter(model, file, dataset_meta=dict(classes=list(map(str, range(classes)))))
    return file


@pytest.fixture(scope="module")
def files(folder):
    torch.manual_seed(0)
    base = save_base(folder)
    return {
        name: save_task(folder, name, base, backbone, classes=3 + number)
        for number, (name, backbone) in enumerate(TASKS.items())
    }


@torch.no_grad()
def own_logits(file, images: Tensor, mode: str = "dynamic") -> Tensor:
    model = mmdyt.load_adapter(file)
    with dispatch_mode(model, mode):
        return model(images)


def mixed(number: int) -> list[str]:
    """Tasks of a batch in which they alternate."""
    return [list(TASKS)[index % len(TASKS)] for index in range(number)]


@pytest.mark.parametrize("mode", ["dynamic", "masked", "complete"])
@torch.no_grad()
def test_each_image_gets_its_own_models_logits(files, mode):
    bank = mmdyt.AdapterBank(files)
    images, tasks = torch.randn(3 * len(TASKS), 3, 28, 28), mixed(3 * len(TASKS))
    with dispatch_mode(bank, mode):
        logits = bank(images, tasks)
    for task, file in files.items():
        chosen = [index for index, own in enumerate(tasks) if own == task]
        expected = own_logits(file, images[chosen], mode)
        given = torch.stack([logits[index] for index in chosen])
        torch.testing.assert_close(given, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_skipping_is_that_of_each_task(files):
    bank = AdapterBank(files)
    images, tasks = torch.randn(2 * len(TASKS), 3, 28, 28), mixed(2 * len(TASKS))
    with collect_dispatch(bank) as records:
        bank(images, tasks)
    mlp = {record.layer: record.mask for record in records if record.branch == "mlp"}
    for task in ("plain", "moe", "random"):
        chosen = [index for index, own in enumerate(tasks) if own == task]
        model = mmdyt.load_adapter(files[task])
        with collect_dispatch(model) as own:
            model(images[chosen])
        assert own and all(torch.equal(mlp[r.layer][chosen], r.mask.bool()) for r in own)
    assert 0.05 < mlp[1][tasks.index("plain"), 1:].float().mean() < 0.95
    assert mlp[2][tasks.index("adaptformer")].all()


def test_predictions_are_those_of_test_step(files):
    """Raw images, preprocessed as each task's were."""
    bank = AdapterBank(files)
    images = list(torch.randint(0, 256, (len(TASKS), 3, 28, 28), dtype=torch.uint8))
    with torch.no_grad():
        samples = bank.predict(images, list(TASKS))
    for image, (task, file), sample in zip(images, files.items(), samples):
        model = mmdyt.load_adapter(file)
        data = model.data_preprocessor(dict(inputs=[image]), False)
        with torch.no_grad():
            expected = model.predict(data["inputs"])[0]
        torch.testing.assert_close(sample.pred_score, expected.pred_score, atol=1e-5, rtol=1e-5)
        assert sample.pred_label == expected.pred_label, task


def test_the_backbone_is_there_once_and_packs(files):
    bank, single = AdapterBank(files), mmdyt.load_adapter(files["probe"])
    backbone = sum(param.numel() for param in single.backbone.parameters())
    added = sum(
        sum(map(torch.numel, mmdyt.load_adapter(file).parameters())) - backbone
        for file in files.values()
    )
    assert sum(param.numel() for param in bank.parameters()) == backbone + added
    assert not bank.training and not any(param.requires_grad for param in bank.parameters())
    images, tasks = torch.randn(4, 3, 28, 28), mixed(4)
    with torch.no_grad():
        expected = bank(images, tasks)
        assert pack_linears(bank)
        for given, logits in zip(bank(images, tasks), expected):
            torch.testing.assert_close(given, logits, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_snippet_of_its_page(files, tmp_path, monkeypatch):
    for task, name in (("digits", "plain"), ("letters", "adaptformer")):
        (tmp_path / f"work_dirs/{task}").mkdir(parents=True)
        shutil.copy(files[name], tmp_path / f"work_dirs/{task}/adapter.safetensors")
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    (text,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    exec(compile(text, PAGE.name, "exec"), found)
    assert [len(logits) for logits in found["logits"]] == [3, 8, 3]


def test_foreign_tasks_are_refused(files, folder, tmp_path):
    bank = AdapterBank(dict(plain=files["plain"]))
    base, other = str(folder / "base.pth"), save_base(tmp_path, "other.pth")
    tuned = dict(tuning="bitfit")
    refused = {
        "another base": (
            save_task(tmp_path, "a", other, {}),
            "on .*other.pth.*bank has .*base.pth",
        ),
        "another size": (
            save_task(tmp_path, "b", base, dict(final_norm=False)),
            "another backbone.*final_norm: False in the file, True in the model",
        ),
        "whole layers": (
            save_task(tmp_path, "c", base, dict(dispatch="layer")),
            "'layer' goes with no other variant",
        ),
        "biases": (
            save_task(tmp_path, "d", base, dict(dispatch=None, adapter=None), **tuned),
            "trained backbone.layers.0.attn.* part of no adapter",
        ),
    }
    for task, (file, message) in refused.items():
        with pytest.raises(ValueError, match=message):
            bank.add(task, file)
        assert bank.tasks == ["plain"], task
    with pytest.raises(ValueError, match="has a task 'plain' already"):
        bank.add("plain", files["plain"])
    for task in ("", 5):
        with pytest.raises(ValueError, match=f"a task must have a name.*got {task!r}"):
            bank.add(task, files["plain"])
    with pytest.raises(TypeError, match="adapters must be a dict of files by task, got \\['a'\\]"):
        AdapterBank(["a"])
    with pytest.raises(ValueError, match=r"'cats' is not in the bank; choose from \['plain'\]"):
        bank(torch.randn(1, 3, 28, 28), ["cats"])
    with pytest.raises(ValueError, match="one task an image, 2, got 'plain'"):
        bank(torch.randn(2, 3, 28, 28), "plain")


@torch.no_grad()
def test_a_task_that_is_added_moves_to_the_bank(files):
    bank = AdapterBank(dict(plain=files["plain"])).double()
    bank.add("narrow", files["narrow"])
    images = torch.randn(2, 3, 28, 28)
    logits = bank(images.double(), ["plain", "narrow"])
    torch.testing.assert_close(logits[1].float(), own_logits(files["narrow"], images)[1])


def test_a_bank_neither_trains_nor_runs_on_nothing(files):
    bank = AdapterBank(dict(plain=files["plain"]))
    with pytest.raises(ValueError, match="a bank is for inference only"):
        bank.train()
    assert not bank.eval().training
    for run, images in ((bank, torch.randn(0, 3, 28, 28)), (bank.predict, [])):
        with pytest.raises(ValueError, match="the batch has no image"):
            run(images, [])
