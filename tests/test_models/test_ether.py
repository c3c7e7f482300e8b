"""ETHER: reflections of weights, block by block, merged at the end."""

import copy

import pytest
import torch
from torch import nn

from mmdyt.engine.adapter_checkpoint import save_adapter
from mmdyt.models.layers.ether_linear import EtherLinear
from mmdyt.models.utils import merged
from mmdyt.ops import reflect
from tests.conftest import build, tiny_backbone, tiny_classifier

BLOCKS, C = 4, 24


def matrix(u, v=None):
    """``blockdiag(H_1, ..., H_n)``, by the formula."""
    blocks = []
    for i in range(len(u)):
        a = u[i] / u[i].norm()
        block = torch.eye(len(a)) - (2 if v is None else 1) * torch.outer(a, a)
        if v is not None:
            b = v[i] / v[i].norm()
            block += torch.outer(b, b)
        blocks.append(block)
    return torch.block_diag(*blocks)


@pytest.mark.parametrize("plus", [False, True])
def test_a_reflection_is_the_product_with_its_matrix(plus):
    u, v = torch.randn(2, BLOCKS, C // BLOCKS)
    x = torch.randn(3, 5, C)
    v = v if plus else None
    torch.testing.assert_close(reflect(x, u, v), x @ matrix(u, v), atol=1e-5, rtol=1e-5)


def test_reflecting_twice_gives_the_input_back_and_norms_stay():
    u, x = torch.randn(BLOCKS, C // BLOCKS), torch.randn(7, C)
    once = reflect(x, u)
    torch.testing.assert_close(reflect(once, u), x, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(once.norm(dim=1), x.norm(dim=1))
    torch.testing.assert_close(reflect(x, 100 * u), once, atol=1e-5, rtol=1e-5)


def test_distances_from_the_identity_are_those_of_the_paper():
    u, v = torch.randn(2, BLOCKS, C // BLOCKS)
    eye = torch.eye(C)
    assert (matrix(u) - eye).norm() == pytest.approx(2 * BLOCKS**0.5, rel=1e-5)
    one = slice(0, C // BLOCKS)
    cosine = nn.functional.cosine_similarity(u[0], v[0], dim=0)
    distance = (matrix(u, v) - eye)[one, one].norm()
    assert distance == pytest.approx(float((2 * (1 - cosine**2)).sqrt()), rel=1e-4)


def linear(variant, sides, name="fc1", out=3 * C):
    torch.manual_seed(0)
    layer = nn.Linear(C, out)
    plain = copy.deepcopy(layer)
    return EtherLinear.from_linear(name, layer, variant, BLOCKS, sides), plain


@pytest.mark.parametrize("name", ["fc1", "qkv"])
@pytest.mark.parametrize("sides", ["in", "out", "both"])
@pytest.mark.parametrize("variant", ["ether", "ether_plus"])
@torch.no_grad()
def test_merged_equals_unmerged(variant, sides, name):
    layer, plain = linear(variant, sides, name)
    for direction in layer.ether.parameters():
        nn.init.normal_(direction)
    x = torch.randn(5, C)
    before, weight = layer(x), plain.weight.clone()
    assert not torch.allclose(before, plain(x))
    assert type(layer.merge()) is nn.Linear
    torch.testing.assert_close(layer(x), before, atol=1e-5, rtol=1e-5)
    assert set(layer.state_dict()) == {"weight", "bias"}
    if variant == "ether" and sides == "in" and name == "fc1":  # H is orthogonal
        torch.testing.assert_close(layer.weight @ layer.weight.T, weight @ weight.T)


def test_ether_plus_starts_as_the_layer_and_ether_at_a_fixed_distance():
    x = torch.randn(5, C)
    layer, plain = linear("ether_plus", "both")
    torch.testing.assert_close(layer(x), plain(x), atol=1e-6, rtol=1e-5)
    layer, plain = linear("ether", "in")
    before = plain.weight.norm()
    assert (layer.merge().weight - plain.weight).norm() > 0.1 * before
    torch.testing.assert_close(layer.weight.norm(), before)  # rotated, not scaled


def test_the_count_does_not_depend_on_blocks():
    counts = set()
    for blocks in (1, 2, 8):
        model = build(tiny_backbone(type="mmdyt.EtherViT", ether=dict(num_blocks=blocks)))
        counts.add(sum(p.numel() for n, p in model.named_parameters() if ".ether." in n))
    assert len(counts) == 1


def test_a_merged_model_answers_alike_and_writes_no_adapter_file(tmp_path):
    config = dict(type="mmdyt.EtherViT", ether=dict(variant="ether_plus", num_blocks=2))
    model = build(tiny_classifier(config))
    for name, param in model.named_parameters():
        if ".ether." in name or "adapter" in name:
            nn.init.normal_(param)
    model.eval()
    state = copy.deepcopy(model.state_dict())
    dense = merged(model)
    images = torch.randn(2, 3, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(dense(images), model(images), atol=1e-4, rtol=1e-4)
    assert not any(".ether." in name for name in dense.state_dict())
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    with pytest.raises(ValueError, match="merged model"):
        save_adapter(dense, tmp_path / "adapter.safetensors")


def test_directions_of_no_length_are_not_merged():
    layer, _ = linear("ether", "in")
    nn.init.zeros_(layer.ether.u_in)
    assert torch.isfinite(layer(torch.randn(2, C))).all()
    with pytest.raises(ValueError, match="ether.u_in has a direction that is zero"):
        layer.merge()


def test_only_plain_linear_layers_are_reflected():
    layer, _ = linear("ether", "in")
    with pytest.raises(ValueError, match="'fc1' is a EtherLinear"):
        EtherLinear.from_linear("fc1", layer, "ether", BLOCKS, "in")
    with pytest.raises(ValueError, match="'qkv' has 48 rows, not queries, keys and values of 24"):
        linear("ether", "in", "qkv", out=48)
