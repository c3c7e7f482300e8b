"""Packed linear layers compute what plain ones do, wherever they are used."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmdyt.models.layers import PackedLinear
from mmdyt.models.utils import collect_dispatch, pack_linears
from tests.conftest import build, randomise_adapters, tiny_backbone
from tests.test_models.helpers import spread_dispatch


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(2, 9, 32), (7, 32), (1, 32), (0, 32)])
@torch.no_grad()
def test_equal_to_a_plain_linear(shape, bias):
    plain = nn.Linear(32, 48, bias=bias)
    packed = copy.deepcopy(plain)
    assert pack_linears(nn.Sequential(packed)) == 1
    x = torch.randn(shape)
    torch.testing.assert_close(packed(x), plain(x))
    assert packed.packed is not None


@torch.no_grad()
def test_a_changed_weight_is_packed_again():
    linear = nn.Linear(32, 48)
    pack_linears(nn.Sequential(linear))
    x, other = torch.randn(5, 32), nn.Linear(32, 48)
    linear(x)
    linear.load_state_dict(other.state_dict())
    torch.testing.assert_close(linear(x), other(x))
    linear.weight = nn.Parameter(torch.zeros(48, 32))
    torch.testing.assert_close(linear(x), linear.bias.expand(5, 48))


@torch.no_grad()
def test_a_weight_at_the_address_of_the_last_one_is_another():
    linear = PackedLinear(256, 256)
    x = torch.randn(5, 256)
    for value in range(20):
        linear.weight.data = torch.full((256, 256), float(value))
        linear(x)
        linear.weight.data = torch.zeros(1)
        linear.weight.data = torch.full((256, 256), value + 0.5)
        expected = F.linear(x, linear.weight, linear.bias)
        torch.testing.assert_close(linear(x), expected, atol=1e-3, rtol=1e-3)


def test_training_autocast_copies_and_files_see_an_ordinary_linear():
    linear = PackedLinear(32, 48)
    x = torch.randn(5, 32, requires_grad=True)
    with torch.no_grad():
        expected = linear(x)
        with torch.autocast("cpu", torch.bfloat16):
            assert linear(x).dtype == torch.bfloat16
    linear(x).sum().backward()
    assert x.grad.any() and linear.weight.grad.any()
    assert linear.state_dict().keys() == nn.Linear(32, 48).state_dict().keys()
    for again in (copy.deepcopy(linear), pickle.loads(pickle.dumps(linear))):
        with torch.no_grad():
            torch.testing.assert_close(again(x), expected)
    program = torch.export.export(linear, (x.detach(),)).module()
    torch.testing.assert_close(program(x), expected)


@torch.no_grad()
def test_a_packed_backbone_skips_the_same_tokens():
    backbone = build(tiny_backbone())
    randomise_adapters(backbone)
    spread_dispatch(backbone)
    backbone.eval()
    images = torch.randn(3, 3, 28, 28)
    packed = copy.deepcopy(backbone)
    assert pack_linears(packed) == 3 * 4  # qkv, proj and two of the MLP a layer
    with collect_dispatch(backbone) as plain, collect_dispatch(packed) as ours:
        torch.testing.assert_close(packed(images)[0], backbone(images)[0], atol=1e-5, rtol=1e-4)
    assert all(torch.equal(a.mask, b.mask) for a, b in zip(plain, ours))
