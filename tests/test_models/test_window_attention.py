"""Attention inside windows: what it sees, what it costs, and that it keeps the weights."""

from copy import deepcopy

import pytest
import torch
from mmpretrain.registry import MODELS

from mmdyt.evaluation import CostAccount
from mmdyt.models.layers import WindowAttention
from mmdyt.models.utils import collect_dispatch, dispatch_mode
from tests.conftest import TINY_ARCH, randomise_adapters


def vit(**overrides) -> torch.nn.Module:
    """3 layers on 24 x 32 px with patch 4: 6 x 8 patches and a class token."""
    config = dict(
        type="mmdyt.DyTViT", arch=TINY_ARCH, img_size=(24, 32), patch_size=4, out_type="featmap"
    )
    return MODELS.build(config | overrides).eval()


def same_weights(model: torch.nn.Module, other: torch.nn.Module) -> None:
    """Windows have no weights: both ways strict."""
    model.load_state_dict(other.state_dict(), strict=True)


@pytest.mark.parametrize("dispatch", [None, "mlp"])
def test_a_window_as_large_as_the_grid_is_plain_attention(dispatch):
    plain, model = vit(dispatch=dispatch), vit(dispatch=dispatch, window_size=8, global_layers=[])
    same_weights(model, plain)
    for size in ((24, 32), (32, 20)):  # padding in both directions, and another grid
        images = torch.randn(2, 3, *size)
        with torch.no_grad():
            torch.testing.assert_close(model(images), plain(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("prefix", [True, False])
def test_a_patch_sees_its_window_and_the_prefix_only(prefix):
    """By gradients of the first layer's attention, with windows cut at the border."""
    model = vit(window_size=4, global_layers=[2], with_cls_token=prefix, dispatch=None)
    attn = model.layers[0].attn
    assert isinstance(attn, WindowAttention)
    assert not isinstance(model.layers[2].attn, WindowAttention)
    model(torch.randn(1, 3, 24, 32))  # tells the grid
    x = torch.randn(1, 48 + prefix, 32, requires_grad=True)
    out = attn(x)
    for row, column in ((0, 0), (3, 3), (5, 7), (4, 2)):
        token = prefix + row * 8 + column
        (grad,) = torch.autograd.grad(out[0, token].sum(), x, retain_graph=True)
        seen = grad[0].abs().sum(dim=1) > 1e-8
        window = torch.zeros(6, 8, dtype=torch.bool)
        window[row // 4 * 4 : row // 4 * 4 + 4, column // 4 * 4 : column // 4 * 4 + 4] = True
        assert torch.equal(seen[int(prefix) :].reshape(6, 8), window)
        assert seen[: int(prefix)].all()
    if prefix:
        (grad,) = torch.autograd.grad(out[0, 0].sum(), x)
        assert (grad[0].abs().sum(dim=1) > 1e-8).all()


def test_skipping_equals_masking_and_copies_know_their_own_grid():
    model = vit(window_size=4, global_layers=[2])
    randomise_adapters(model)
    copy = deepcopy(model)
    images = torch.randn(2, 3, 24, 32)
    with torch.no_grad(), collect_dispatch(model) as records:
        skipped = model(images)
        with dispatch_mode(model, "masked"):
            torch.testing.assert_close(skipped, model(images), rtol=1e-4, atol=1e-5)
        model(torch.randn(1, 3, 8, 8))
        torch.testing.assert_close(copy(images), skipped)
    assert any(record.rate().sum() > 0 for record in records)


def test_gradients_reach_what_trains():
    model = vit(window_size=4, global_layers=[2]).train()
    sum(out.sum() for out in model(torch.randn(2, 3, 24, 32))).backward()
    assert all(param.grad is not None for param in model.layers[0].adapter.parameters())


def test_the_cost_is_that_of_the_windows():
    images = torch.zeros(1, 3, 24, 32)
    plain = CostAccount(vit(dispatch=None)).dense_flops(images)
    windows = CostAccount(vit(dispatch=None, window_size=2, global_layers=[2])).dense_flops(images)
    # Two layers: 48 patches see 4 patches and the class token instead of 49 tokens.
    assert plain - windows == 2 * 48 * (49 - 5) * 2 * 32


def test_four_layers_stay_global_and_bad_values_are_refused():
    model = vit(arch=TINY_ARCH | dict(num_layers=12), window_size=4)
    plain = [
        i for i, layer in enumerate(model.layers) if not isinstance(layer.attn, WindowAttention)
    ]
    assert plain == [2, 5, 8, 11]
    for options, message in (
        (dict(window_size=0), r"backbone.window_size must be an integer in \[1, inf\), got 0"),
        (dict(window_size=2, global_layers=[3]), r"backbone.global_layers must be .*, got 3"),
        (dict(window_size=2, dispatch="attn"), r"backbone.window_size needs attention among all"),
        (dict(window_size=2, rel_pos_bias=True), "exclude each other"),
    ):
        with pytest.raises(ValueError, match=message):
            vit(**options)
