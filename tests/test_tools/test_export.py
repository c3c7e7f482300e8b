"""An exported model answers as the trained one, for any number of active tokens."""

import logging

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmdyt.engine.adapter_checkpoint import save_adapter
from mmdyt.models.utils import collect_dispatch
from tests.conftest import TINY_ARCH, build, randomise_adapters, tiny_classifier
from tests.test_models.helpers import spread_dispatch
from tools.deployment.export import idle_branches, main, slim

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
    for name in ("wide.pth", "wide.safetensors"):
        with pytest.raises(SystemExit, match=f"{name} does not belong to {config}") as ended:
            run_main(main, config, tmp_path / name, tmp_path / "out")
        assert "adapter.mlp.down" in str(ended.value) and not (tmp_path / "out").exists()


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
