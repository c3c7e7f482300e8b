"""UniPELT: four parts, a gate each; the prefix folded once it is trained."""

import pytest
import torch
from torch import nn

from mmdyt.engine.adapter_checkpoint import load_adapter, save_adapter
from mmdyt.models import BottleneckAdapter
from mmdyt.models.layers import GatedLoRALinear
from mmdyt.models.utils import merged
from tests.conftest import build, tiny_backbone, tiny_classifier
from tests.test_models.helpers import train_step

ADAPTER = dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=4, gate=True, drop_rate=0.0)
UNIPELT = dict(type="mmdyt.UniPELTViT", adapter=ADAPTER, prefix_hidden_dims=8, dispatch=None)


def randomised(**changes):
    model = build(tiny_classifier(UNIPELT | changes, dyt=None))
    for param in model.parameters():
        if param.requires_grad:
            nn.init.normal_(param, std=0.3)
    return model


def test_every_gate_and_part_has_a_gradient():
    model = randomised(num_prompts=2)
    model.train().loss(torch.randn(2, 3, 28, 28), _samples(2))["loss"].backward()
    idle = [n for n, p in model.named_parameters() if p.requires_grad and not p.grad.abs().sum()]
    assert idle == []


def _samples(size):
    from mmpretrain.structures import DataSample

    return [DataSample().set_gt_label(i) for i in range(size)]


@torch.no_grad()
def test_gates_are_the_mean_of_the_tokens_gates_and_an_image_s_own():
    torch.manual_seed(0)
    qkv = nn.Linear(16, 48)
    plain = nn.Linear(16, 48)
    plain.load_state_dict(qkv.state_dict())
    lora = GatedLoRALinear.from_linear(qkv, 2)
    for param in lora.gated_lora.parameters():
        nn.init.normal_(param)
    x = torch.randn(2, 5, 16)
    expected = plain(x).clone()
    for start, name in ((0, "query"), (32, "value")):
        part = lora.gated_lora[name]
        for image in range(2):
            gate = part.gate.proj(x[image]).sigmoid().mean()
            update = gate * (x[image] @ part.down.weight.T @ part.up.weight.T)
            expected[image, :, start : start + 16] += update
    torch.testing.assert_close(lora(x), expected, atol=1e-5, rtol=1e-5)

    adapter = BottleneckAdapter(16, 4, gate=True, scale=1.0).eval()
    nn.init.normal_(adapter.up.weight)
    gates = adapter.gate.proj(x).sigmoid().mean(1, keepdim=True)
    ungated = adapter.bottleneck(x, adapter.down, adapter.up)
    torch.testing.assert_close(adapter(x), gates * ungated)
    torch.testing.assert_close(adapter(x, x), x + gates * ungated)


@torch.no_grad()
def test_the_folded_prefix_is_the_mlp_s():
    model = randomised(num_prompts=2).eval()
    small = merged(model)
    images = torch.randn(2, 3, 28, 28)
    torch.testing.assert_close(small(images), model(images), atol=1e-5, rtol=1e-5)
    assert not any("prefix_mlp" in name for name in small.state_dict())
    again = build(tiny_classifier(UNIPELT | dict(num_prompts=2, folded=True), dyt=None))
    again.load_state_dict(dict(small.state_dict()))  # without what it says of its config
    torch.testing.assert_close(again.eval()(images), model(images), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_without_prefix_and_prompts_a_fresh_model_is_the_plain_one():
    plain = build(tiny_backbone(dispatch=None, adapter=None))
    model = build(tiny_backbone(**UNIPELT, prefix_length=0))
    model.load_state_dict(plain.state_dict(), strict=False)
    plain.eval(), model.eval()
    images = torch.randn(2, 3, 28, 28)
    torch.testing.assert_close(model(images), plain(images))


def test_a_file_of_one_form_is_refused_by_the_other(tmp_path):
    torch.save(build(tiny_backbone(dispatch=None, adapter=None)).state_dict(), tmp_path / "b.pth")
    init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "b.pth"))
    model = build(tiny_classifier(UNIPELT | dict(init_cfg=init_cfg), dyt=None))
    model.init_weights()
    train_step(model, torch.randn(4, 3, 28, 28))
    save_adapter(model, tmp_path / "adapter.safetensors")
    again = load_adapter(tmp_path / "adapter.safetensors")
    images = torch.randn(2, 3, 28, 28)
    with torch.no_grad():
        assert torch.equal(again(images), model.eval()(images))
    from mmengine.runner import load_checkpoint

    folded = build(tiny_classifier(UNIPELT | dict(init_cfg=init_cfg, folded=True), dyt=None))
    folded.init_weights()
    with pytest.raises(ValueError, match=r"folded: False in the file, True in the model"):
        load_checkpoint(folded, str(tmp_path / "adapter.safetensors"))
