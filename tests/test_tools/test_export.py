"""An exported model answers as the trained one, for any number of active tokens."""

import copy
import json
import logging
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from PIL import Image
from torch import nn

from mmdyt.engine.adapter_checkpoint import save_adapter
from mmdyt.engine.deployment import (
    Logits,
    clear_decisions,
    describe_input,
    run_onnxruntime,
    trace,
    verify,
    write_onnx,
)
from mmdyt.engine.slimming import idle_branches, slim
from mmdyt.evaluation import build_uninitialised, sample_shape
from mmdyt.models.layers.decisions import ShiftedThreshold
from mmdyt.models.utils import collect_dispatch, set_capacity
from mmdyt.models.utils.budget_table import own_fingerprint
from tests.conftest import CONFIGS, REPO, TINY_ARCH, build, randomise_adapters, tiny_classifier
from tests.test_models import test_third_party
from tests.test_models.helpers import spread_dispatch
from tools.deployment.export import main

onnxruntime = pytest.importorskip("onnxruntime", reason="requirements/deploy.txt")
pytestmark = pytest.mark.skipif(
    not hasattr(torch.compiler, "is_exporting"),
    reason=f"torch {torch.__version__} has no torch.compiler.is_exporting: no export",
)


@pytest.fixture(autouse=True)
def _logging_stays(monkeypatch):
    monkeypatch.setattr(logging, "disable", lambda level: None)


def trained(folder, **model):
    """A config file, a model whose dispatchers tell tokens apart, and its checkpoint."""
    config = folder / "config.py"
    Config(dict(default_scope="mmpretrain", model=tiny_classifier(**model))).dump(config)
    classifier = build(tiny_classifier(**model))
    randomise_adapters(classifier)
    spread_dispatch(classifier)
    torch.save(dict(state_dict=classifier.state_dict()), folder / "epoch_1.pth")
    return config, classifier.eval(), folder / "epoch_1.pth"


@pytest.mark.parametrize("dispatch", ["mlp", "attn", "attn_mlp", "layer"])
@torch.no_grad()
def test_both_files_give_the_logits_of_the_model(tmp_path, run_main, capsys, dispatch):
    arch = TINY_ARCH | dict(num_layers=2)  # an export takes seconds per layer
    config, model, checkpoint = trained(tmp_path, backbone=dict(arch=arch, dispatch=dispatch))
    run_main(main, config, checkpoint, tmp_path / "out")
    printed = capsys.readouterr().out
    assert "model.onnx" in printed and "before" in printed
    session = onnxruntime.InferenceSession(str(tmp_path / "out/model.onnx"))
    program = torch.export.load(tmp_path / "out/model.pt2").module()
    counts = set()
    for batch in (1, 3, 8):
        images = torch.randn(batch, 3, 28, 28) * torch.linspace(0.1, 4, batch)[:, None, None, None]
        with collect_dispatch(model) as records:
            expected = model(images)
        counts |= {int(record.mask.sum()) for record in records}
        ours = torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(program(images), expected, atol=1e-4, rtol=1e-4)
    assert len(counts) > 3, "the images must differ in their activation"


def test_a_checkpoint_of_another_config_is_refused(tmp_path, run_main):
    config, _, _ = trained(tmp_path)
    wide = build(
        tiny_classifier(dict(adapter=dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=3)))
    )
    torch.save(dict(state_dict=wide.state_dict()), tmp_path / "wide.pth")
    save_adapter(wide, tmp_path / "wide.safetensors")
    differing = {
        "wide.pth": "adapter.mlp.down",
        "wide.safetensors": "adapter.bottleneck_dims: 3 in the",
    }
    for name, difference in differing.items():
        with pytest.raises(SystemExit, match=f"{name} does not belong to {config}") as ended:
            run_main(main, config, tmp_path / name, tmp_path / "out")
        assert difference in str(ended.value) and not (tmp_path / "out").exists()


def test_idle_branches_go_where_no_class_token_needs_them(tmp_path):
    images = torch.randn(3, 3, 28, 28)
    backbone = dict(with_cls_token=False, out_type="avg_featmap")
    for changes, keeps_mlp in ((backbone, False), ({}, True)):
        _, model, _ = trained(tmp_path, backbone=changes)
        nn.init.constant_(model.backbone.layers[2].dispatcher["mlp"].proj.bias, -100.0)
        assert idle_branches(model, [images]) == {(2, "mlp")}
        small = slim(model, {(2, "mlp")})
        with torch.no_grad():
            torch.testing.assert_close(small(images), model(images), atol=1e-4, rtol=1e-4)
        names = [name for name, _ in small.named_parameters()]
        assert not any(name.startswith("backbone.layers.2.dispatcher") for name in names)
        assert any(name.startswith("backbone.layers.2.ffn") for name in names) is keeps_mlp
        assert small.backbone.layers[0].adapter["mlp"].scale == 1.0


@pytest.mark.parametrize("dispatch", ["mlp", "attn", "attn_mlp", "layer"])
@torch.no_grad()
def test_a_capacity_is_exported_without_shapes_that_depend_on_data(tmp_path, run_main, dispatch):
    onnx = pytest.importorskip("onnx")
    arch = TINY_ARCH | dict(num_layers=2)
    config, model, checkpoint = trained(tmp_path, backbone=dict(arch=arch, dispatch=dispatch))
    branches = dispatch.split("_")
    rates = {f"0{i}_{branch}": 0.3 + 0.2 * i for i in (0, 1) for branch in branches}
    points = [
        dict(shift=shift, rate=0.4 + shift, gflops=1 + shift, accuracy=90.0, rates=rates)
        | dict(capacity=dict(gflops=1 + shift, accuracy=90.0))
        for shift in (0.0, 0.4)
    ]
    table = dict(weights=own_fingerprint(model), points=points)
    (tmp_path / "budgets.json").write_text(json.dumps(table))
    out = tmp_path / "out"
    run_main(main, config, checkpoint, out, "--budget", 0.4, "--capacity")
    set_capacity(model, rates)
    session = onnxruntime.InferenceSession(str(out / "model.onnx"))
    program = torch.export.load(out / "model.pt2").module()
    for batch in (1, 3):
        images = torch.randn(batch, 3, 28, 28)
        ours = torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
        torch.testing.assert_close(ours, model(images), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(program(images), model(images), atol=1e-4, rtol=1e-4)
    operators = {node.op_type for node in onnx.load(out / "model.onnx").graph.node}
    assert "TopK" in operators and "NonZero" not in operators

    for budget, message in ((0.9, r"outside the measured range \[0.4, 0.8\]"), (0.4, "another")):
        if message == "another":
            table["weights"]["hash"] = ""
            table["weights"]["sketch"] = {k: [1.0] * 16 for k in table["weights"]["sketch"]}
            (tmp_path / "budgets.json").write_text(json.dumps(table))
        with pytest.raises(SystemExit, match=message):
            run_main(main, config, checkpoint, tmp_path / "no", "--budget", budget)
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("cut", [False, True])
@torch.no_grad()
def test_the_documented_script_classifies_an_image(tmp_path, digits_cfg, monkeypatch, capsys, cut):
    model = build(digits_cfg.model | dict(data_preprocessor=digits_cfg.data_preprocessor)).eval()
    randomise_adapters(model)
    image = sorted((Path(digits_cfg.test_dataloader.dataset.data_root) / "images").rglob("*.png"))[
        0
    ]
    pipeline = digits_cfg.test_dataloader.dataset.pipeline
    pipeline[1].backend = "pillow"
    if cut:  # as the released code tests at 224 px; these images are square
        image = tmp_path / "wide.png"
        noise = np.random.RandomState(0).randint(0, 256, (8, 11, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((57, 40), Image.Resampling.BICUBIC).save(image)
        pipeline[1] = dict(pipeline[1], type="ResizeEdge", scale=31)
        pipeline.insert(2, dict(type="CenterCrop", crop_size=28))
    meta = describe_input(digits_cfg, model, (3, 28, 28))
    assert meta["color"] == "RGB" and meta["interpolation"] == "bicubic"
    write_onnx(trace(Logits(model), torch.randn(2, 3, 28, 28)), tmp_path / "model.onnx", meta)
    (script,) = re.findall(
        r"^```python\n(import json\n.*?)^```", (REPO / "docs/budgets.md").read_text(), re.S | re.M
    )
    monkeypatch.setattr(sys, "argv", ["run", str(tmp_path / "model.onnx"), str(image)])
    namespace: dict = {}
    exec(script, namespace)
    pipeline = Compose(digits_cfg.test_dataloader.dataset.pipeline)
    sample = pipeline(dict(img_path=str(image), gt_label=0))
    batch = dict(inputs=[sample["inputs"]], data_samples=[sample["data_samples"]])
    expected = model(model.data_preprocessor(batch)["inputs"])
    torch.testing.assert_close(
        torch.from_numpy(namespace["logits"]), expected, atol=1e-3, rtol=1e-3
    )
    assert meta["short_edge"] == (31 if cut else None)
    assert capsys.readouterr().out.split() == ["classification", str(int(expected.argmax()))]


def test_how_images_are_resized_is_read_from_the_test_pipeline():
    model = build(tiny_classifier())
    bases = CONFIGS / "_base_/datasets"
    expected = dict(image_224=256, vtab1k=None, video_kinetics400=224, video_sthv2=224)
    for name, short_edge in expected.items():
        cfg = Config.fromfile(bases / f"{name}.py")
        pipeline = cfg.test_dataloader.dataset.pipeline
        cfg = Config(dict(test_dataloader=dict(dataset=dict(pipeline=pipeline))))
        if "video" in name:
            model.cls_head = model.head  # by which recognizers are known
        assert describe_input(cfg, model, (3, 224, 224))["short_edge"] == short_edge, name


def test_arrays_of_a_data_set_are_rgb_already():
    """CIFAR and SVHN have no file to load: nothing is swapped on the way to the model."""
    for name, config in (("cifar100", "cifar100/vit-b16_dyt_8xb128_cifar100.py"), ("", "")):
        cfg = Config.fromfile(CONFIGS / f"image/{config}") if config else Config(dict(model={}))
        model = build(tiny_classifier() | dict(data_preprocessor=cfg.get("data_preprocessor")))
        assert describe_input(cfg, model, (3, 28, 28))["color"] == ("RGB" if name else "BGR")


@torch.no_grad()
def test_idle_branches_of_a_segmentor_are_found_on_windows(tmp_path, run_main, capsys):
    """Its images have other sizes than the windows that the exported file takes."""
    cfg = Config.fromfile(CONFIGS / "segmentation/demo/dyt_vit-mini_fcn_fashion-scenes.py")
    cfg.model.backbone.update(arch=TINY_ARCH, init_cfg=None, out_indices=[0, 2])
    cfg.model.decode_head.update(in_channels=[32, 32], in_index=[0, 1])
    for index, size in enumerate([(70, 56), (56, 90), (40, 40)]):
        pixels = np.random.RandomState(index).randint(0, 256, (*size, 3), dtype=np.uint8)
        for kind, picture in (("images", pixels), ("masks", pixels[..., 0] % 5)):
            (folder := tmp_path / kind).mkdir(exist_ok=True)
            Image.fromarray(picture).save(folder / f"{index}.png")
    folders = dict(img_path="images", seg_map_path="masks")
    cfg.val_dataloader.dataset.update(data_root=str(tmp_path), data_prefix=folders)
    cfg.val_dataloader.update(batch_size=1, num_workers=0, persistent_workers=False)
    torch.save(dict(state_dict=build_uninitialised(cfg).state_dict()), tmp_path / "model.pth")
    cfg.dump(tmp_path / "config.py")
    out = tmp_path / "out"
    run_main(main, tmp_path / "config.py", tmp_path / "model.pth", out, "--idle-batches", 3)
    assert "of 3 images" in " ".join(capsys.readouterr().out.split())
    assert sorted(path.name for path in out.iterdir()) == ["model.onnx", "model.pt2"]


@torch.no_grad()
def test_a_dispatcher_without_a_threshold_is_exported(tmp_path, run_main, capsys):
    """One of others: what decides there is not known."""
    assert test_third_party  # registers it
    arch = TINY_ARCH | dict(num_layers=2)
    config = tiny_classifier(dict(arch=arch, dispatcher=dict(type="mmdyt.NormDispatcher")))
    Config(dict(default_scope="mmpretrain", model=config)).dump(tmp_path / "config.py")
    torch.save(dict(state_dict=build(config).state_dict()), tmp_path / "epoch_1.pth")
    run_main(main, tmp_path / "config.py", tmp_path / "epoch_1.pth", tmp_path / "out")
    assert "equal logits on 8 of 8 images" in " ".join(capsys.readouterr().out.split())


@torch.no_grad()
def test_segmentors_and_recognizers_are_exported_too(tmp_path, subtests):
    for name in (
        "segmentation/demo/dyt_vit-mini_fcn_fashion-scenes",
        "video/demo/dyt_vit-mini_motion",
    ):
        with subtests.test(name):
            cfg = Config.fromfile(CONFIGS / f"{name}.py")
            cfg.model.backbone.update(arch=TINY_ARCH, init_cfg=None)
            if "decode_head" in cfg.model:
                cfg.model.backbone.out_indices = [0, 2]
                cfg.model.decode_head.update(in_channels=[32, 32], in_index=[0, 1])
            else:
                cfg.model.cls_head.in_channels = 32
            model = build_uninitialised(cfg).eval()
            randomise_adapters(model)
            spread_dispatch(model)
            shape = sample_shape(cfg)
            meta = describe_input(cfg, model, shape)
            assert meta["size"] == list(shape[-2:]) and meta["color"] == "RGB"
            assert meta["frames"] == (8 if "video" in name else None)
            assert meta["short_edge"] is None
            for capacity in (False, True):
                if capacity:
                    set_capacity(model, 0.4)
                images = torch.randn(2, *shape)
                write_onnx(trace(Logits(model), images), tmp_path / "model.onnx", meta)
                functions = dict(torch=Logits(model), onnx=run_onnxruntime(tmp_path / "model.onnx"))
                other = torch.randn(3, *shape)
                clear = clear_decisions(model, other)
                assert clear.any()
                verify(functions, other, clear)
                if "decode_head" in cfg.model:
                    assert functions["onnx"](other).shape == (3, 5, *shape[-2:])


@torch.no_grad()
def test_a_model_that_merges_tokens_can_be_copied_after_its_export():
    model = Logits(build(tiny_classifier(dict(type="mmdyt.ToMeViT", r=4)))).eval()
    images = torch.randn(2, 3, 28, 28)
    trace(model, images)
    assert torch.equal(copy.deepcopy(model)(images), model(images))


@torch.no_grad()
def test_images_whose_logits_tie_with_what_decides_are_found():
    model = build(tiny_classifier()).eval()
    spread_dispatch(model)
    images = torch.randn(3, 3, 28, 28)
    for attach in (lambda: None, lambda: set_capacity(model, 0.5)):
        attach()
        with collect_dispatch(model) as records:
            model(images)
        decision = model.backbone.layers[0].fixed_decisions.get("mlp", ShiftedThreshold(0.0))
        margins = decision.margin(records[0].logits, 0.5, 1)
        margin = float(margins.sort().values[:2].mean())
        assert clear_decisions(model, images, margin).tolist() == [
            all(
                bool(gap > margin)
                for gap in (decision.margin(record.logits, 0.5, 1)[i] for record in records)
            )
            for i in range(3)
        ]
        assert not clear_decisions(model, images, margin)[margins.argmin()]
