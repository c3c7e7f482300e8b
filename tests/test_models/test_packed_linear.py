"""Packed linear layers compute what plain ones do, and nothing else."""

import copy
import pickle

import pytest
import torch
from torch import nn

from mmdyt.models.utils import collect_dispatch, pack_linears
from tests.conftest import build, randomise_adapters, tiny_backbone
from tests.test_models.helpers import spread_dispatch


@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_equal_to_a_plain_linear(bias):
    plain = nn.Linear(32, 48, bias=bias)
    packed = copy.deepcopy(plain)
    assert pack_linears(nn.Sequential(packed)) == 1
    for shape in [(2, 9, 32), (7, 32), (1, 32), (0, 32)]:
        x = torch.randn(shape)
        torch.testing.assert_close(packed(x), plain(x))


def test_there_is_no_weight_that_could_become_another_one():
    """A second weight beside the packed one was once overtaken by ``.data.copy_``."""
    model = nn.Sequential(nn.Linear(32, 48))
    pack_linears(model)
    assert [name for name, _ in model.named_parameters()] == ["0.bias"]
    for change in (
        lambda: model.load_state_dict(nn.Sequential(nn.Linear(32, 48)).state_dict()),
        lambda: model.state_dict(),
        lambda: copy.deepcopy(model),
        lambda: pickle.dumps(model),
    ):
        with pytest.raises((RuntimeError, TypeError), match=r"pack(ed|_linears)"):
            change()


def test_what_a_packed_model_cannot_do_is_refused():
    model = nn.Sequential(nn.Linear(32, 48))
    pack_linears(model)
    x = torch.randn(5, 32)
    assert not model(x).requires_grad  # outside of no_grad, too
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(RuntimeError, match="autocast"):
        model(x)
    with pytest.raises(RuntimeError, match="keep a copy"):
        torch.export.export(model, (x,))
    for bad in (x.double(), x.clone().requires_grad_()):
        with pytest.raises(RuntimeError, match="inference in float32 on a CPU"):
            model(bad)
    with pytest.raises(RuntimeError, match="inference"):
        model.train()(x)


def test_other_dtypes_are_refused_before_anything_changes():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"got 1\.weight in torch\.float64"):
        pack_linears(model)
    assert type(model[0]) is nn.Linear and model.training


@pytest.mark.parametrize("kind", ["mmdyt.DyTViT", "mmdyt.SSFViT"])
@torch.no_grad()
def test_a_packed_backbone_skips_the_same_tokens(kind):
    backbone = build(tiny_backbone(type=kind))
    randomise_adapters(backbone)
    spread_dispatch(backbone)
    images = torch.randn(3, 3, 28, 28)
    packed = copy.deepcopy(backbone.eval())
    assert pack_linears(packed) == 3 * 4  # qkv, proj and two of the MLP a layer
    with collect_dispatch(backbone) as plain, collect_dispatch(packed) as ours:
        torch.testing.assert_close(packed(images)[0], backbone(images)[0], atol=1e-5, rtol=1e-4)
    assert all(torch.equal(a.mask, b.mask) for a, b in zip(plain, ours))
