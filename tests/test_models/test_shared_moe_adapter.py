"""Adapter-X: one library for all layers, one expert a token, a balance loss."""

import copy

import pytest
import torch
from torch import nn

from mmdyt.engine.adapter_checkpoint import load_adapter, save_adapter
from mmdyt.models import BottleneckAdapter
from mmdyt.models.adapters import ExpertLibrary
from mmdyt.models.utils import collect_dispatch
from tests.conftest import TINY_ARCH, build, tiny_backbone, tiny_classifier
from tests.test_models.helpers import train_step

ADAPTER = dict(type="mmdyt.SharedMoEAdapter", num_experts=3, bottleneck_dims=4, drop_rate=0.0)


def backbone(**changes):
    model = build(tiny_backbone(**{"adapter": ADAPTER, "dispatch": None} | changes))
    for name, param in model.named_parameters():
        if "experts" in name or "adapter" in name:
            nn.init.normal_(param, std=0.5)
    return model


def test_all_layers_share_one_library_which_files_hold_once():
    sizes = set()
    for layers in (1, 3):
        model = backbone(arch=TINY_ARCH | dict(num_layers=layers))
        state = {name: value for name, value in model.state_dict().items() if "experts" in name}
        assert len(state) == 4
        sizes.add(sum(value.numel() for value in state.values()))
    assert len(sizes) == 1
    clone = copy.deepcopy(model)
    libraries = {id(layer.adapter["mlp"]._library[0]) for layer in clone.layers}
    assert libraries == {id(clone.experts["32"])} != {id(model.experts["32"])}


def test_the_library_s_gradient_is_the_sum_over_layers():
    model = backbone()
    x = torch.randn(2, 50, 32)
    single = []
    for layer in model.layers:
        model.zero_grad()
        layer.adapter["mlp"](x).square().sum().backward()
        single.append(model.experts["32"].down_weight.grad.clone())
    model.zero_grad()
    sum(layer.adapter["mlp"](x).square().sum() for layer in model.layers).backward()
    torch.testing.assert_close(model.experts["32"].down_weight.grad, sum(single))


@torch.no_grad()
def test_every_token_has_the_output_of_its_best_expert_times_its_probability():
    adapter = backbone().layers[0].adapter["mlp"].eval()
    library = adapter._library[0]
    x = torch.randn(2, 7, 32)
    u, p, _ = adapter.route(x)
    out = torch.empty_like(x)
    for b in range(2):
        for n in range(7):
            j = int(p[b, n].argmax())
            hidden = (library.down_weight[j] @ u[b, n] + library.down_bias[j]).relu()
            out[b, n] = p[b, n, j] * (library.up_weight[j].T @ hidden + library.up_bias[j])
    torch.testing.assert_close(adapter(x), out, atol=1e-5, rtol=1e-5)
    order = torch.randperm(7)
    torch.testing.assert_close(adapter(x[:, order]), out[:, order], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_one_expert_is_one_shared_bottleneck():
    adapter = backbone(adapter=ADAPTER | dict(num_experts=1)).layers[0].adapter["mlp"].eval()
    library = adapter._library[0]
    plain = BottleneckAdapter(32, 4, scale=1.0, norm="in").eval()
    plain.norm_in.load_state_dict(adapter.norm_in.state_dict())
    plain.down.weight.copy_(library.down_weight[0]), plain.down.bias.copy_(library.down_bias[0])
    plain.up.weight.copy_(library.up_weight[0].T), plain.up.bias.copy_(library.up_bias[0])
    x = torch.randn(2, 7, 32)
    torch.testing.assert_close(adapter(x), plain(x), atol=1e-5, rtol=1e-5)


def test_uniform_routing_has_a_balance_loss_of_one_and_uneven_routing_more():
    adapter = backbone(adapter=ADAPTER | dict(balance_weight=1.0)).layers[0].adapter["mlp"]
    nn.init.zeros_(adapter.router.weight)
    adapter.train()(torch.randn(2, 50, 32))
    (uniform,) = adapter.extra_losses().values()
    assert float(uniform) == pytest.approx(1.0) and adapter.extra_losses() == {}
    nn.init.zeros_(adapter.norm_in.weight), nn.init.ones_(adapter.norm_in.bias)
    adapter.router.weight.data[0] = 1.0
    adapter(torch.randn(2, 50, 32))
    assert float(adapter.extra_losses()["balance_loss"]) > 2.9
    adapter.eval()(torch.randn(2, 50, 32))
    assert adapter.extra_losses() == {}


@pytest.mark.parametrize("dispatch", [None, "mlp", "attn_mlp"])
def test_the_balance_loss_is_added_once(dispatch):
    """Uniform routing: each adapter's balance loss is 1, whatever the number of passes."""
    model = build(tiny_classifier(dict(adapter=ADAPTER, dispatch=dispatch)))
    for layer in model.backbone.layers:
        for adapter in layer.adapter.values():
            nn.init.zeros_(adapter.router.weight)
    losses = train_step(model, torch.randn(4, 3, 28, 28))
    count = 6 if dispatch == "attn_mlp" else 3
    assert losses["balance_loss"] == pytest.approx(0.01 * count)
    summed = [value for name, value in losses.items() if "loss" in name and name != "loss"]
    assert losses["loss"] == pytest.approx(sum(summed), rel=1e-5)
    copy.deepcopy(model)


def test_a_loss_without_its_word_is_refused(monkeypatch):
    model = build(tiny_classifier(dict(adapter=ADAPTER, dispatch=None)))
    monkeypatch.setattr(ExpertLibrary, "extra_losses", lambda self: {"balance": 0}, raising=False)
    with pytest.raises(ValueError, match=r"backbone.experts.32.extra_losses\(\) returns 'balance'"):
        train_step(model, torch.randn(4, 3, 28, 28))


def test_an_adapter_file_holds_the_library_once_and_gives_the_model_back(tmp_path):
    base = build(tiny_backbone(dispatch=None, adapter=None)).state_dict()
    torch.save(dict(state_dict=base), tmp_path / "base.pth")
    init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "base.pth"))
    model = build(tiny_classifier(dict(adapter=ADAPTER, init_cfg=init_cfg)))
    model.init_weights()
    train_step(model, torch.randn(4, 3, 28, 28))
    save_adapter(model, tmp_path / "adapter.safetensors")
    again = load_adapter(tmp_path / "adapter.safetensors")
    images = torch.randn(2, 3, 28, 28)
    with torch.no_grad():
        assert torch.equal(again(images), model.eval()(images))


def test_records_say_which_expert_has_how_many_tokens():
    model = backbone(dispatch="mlp").eval()
    with torch.no_grad(), collect_dispatch(model) as records:
        model(torch.randn(2, 3, 28, 28))
    shares = records[0].extra["experts"]
    assert shares.shape == (2, 3)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(2))
