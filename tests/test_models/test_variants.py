"""The four variants: masked and skipping execution are one rule."""

import pytest
import torch
from hypothesis import given
from torch import nn

from mmdyt.models.layers import DyTEncoderLayer
from mmdyt.models.utils import collect_dispatch
from tests.conftest import randomise_adapters
from tests.strategies import decisions
from tests.test_models.helpers import both_executions, fix_dispatch, spread_dispatch

VARIANTS = ["attn", "mlp", "attn_mlp", "layer"]
B, N, C = 5, 12, 32


def make_layer(variant: str, num_prefix: int = 1, adapter="mmdyt.BottleneckAdapter"):
    """A layer whose random weights make every part count."""
    layer = DyTEncoderLayer(
        embed_dims=C,
        num_heads=4,
        feedforward_channels=64,
        dispatch=variant,
        adapter=adapter and dict(type=adapter, bottleneck_dims=4, drop_rate=0.0),
        num_prefix=num_prefix,
    )
    for param in layer.parameters():
        nn.init.normal_(param, std=0.1)
    randomise_adapters(layer)
    return layer


def mixed_mask() -> torch.Tensor:
    """Between none and all of the tokens, another number in every image."""
    return torch.arange(N) < torch.tensor([[0], [1], [5], [7], [N]])


@pytest.mark.parametrize("batch", [1, B])
@pytest.mark.parametrize("variant", VARIANTS)
def test_skipping_equals_masking_with_learned_dispatchers(variant, batch):
    layer = make_layer(variant)
    spread_dispatch(layer)
    x = torch.randn(batch, N, C)
    with collect_dispatch(layer) as records:
        skipped, masked = both_executions(layer, x)
    assert 0 < records[0].rate().mean() < 1
    torch.testing.assert_close(skipped, masked, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
@given(decision=decisions())
def test_skipping_equals_masking_for_any_decision(variant, decision):
    """With no prefix and no active token, the branch has really nothing to do."""
    layer = make_layer(variant, decision.num_prefix)
    fix_dispatch(layer, decision.mask)
    skipped, masked = both_executions(layer, decision.stream(C))
    torch.testing.assert_close(skipped, masked, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_image_does_not_depend_on_its_batch(variant):
    layer = make_layer(variant).eval()
    spread_dispatch(layer)
    x = torch.randn(B, N, C)
    with torch.no_grad():
        alone = torch.cat([layer(image[None]) for image in x])
        torch.testing.assert_close(layer(x), alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
@given(decision=decisions())
@torch.no_grad()
def test_inactive_tokens_take_identity_plus_adapter(variant, decision):
    layer = make_layer(variant, decision.num_prefix).eval()
    fix_dispatch(layer, decision.mask)
    x, active = decision.stream(C), decision.active
    expected = x
    for name in layer.variant.branches:
        around = (
            0 if name in layer.dispatcher else getattr(layer, f"_{name}_branch")(expected, None)
        )
        beside = layer.adapter[name](expected) if name in layer.adapter else 0
        expected = expected + around + beside
    for out in both_executions(layer, x):
        torch.testing.assert_close(out[~active], expected[~active], atol=1e-5, rtol=1e-5)
        for token, other in zip(out[active], expected[active]):
            assert not torch.allclose(token, other, atol=1e-3)


@pytest.mark.parametrize("variant", ["attn", "attn_mlp", "layer"])
def test_active_tokens_do_not_see_inactive_ones(variant):
    layer = make_layer(variant)
    mask = mixed_mask()
    mask[:, 0] = True
    fix_dispatch(layer, mask)
    x = torch.randn(B, N, C)
    other = torch.where(mask[..., None], x, torch.randn(B, N, C))  # another inactive part
    for before, after in zip(both_executions(layer, x), both_executions(layer, other)):
        torch.testing.assert_close(after[mask], before[mask], atol=1e-5, rtol=1e-5)

    x[2, 1] = torch.randn(C)  # an active token of an image with five
    for before, after in zip(both_executions(layer, other), both_executions(layer, x)):
        assert (after[2, 0] - before[2, 0]).abs().max() > 1e-3


@pytest.mark.parametrize("variant", VARIANTS)
def test_straight_through_gradient_of_an_inactive_token(variant):
    """It sends nothing through the block, and its dispatcher learns all the same."""
    layer = make_layer(variant, num_prefix=0, adapter=None).train()
    hard = mixed_mask()
    soft = torch.rand(B, N, requires_grad=True)
    fix_dispatch(layer, hard.float() + (soft - soft.detach()))
    layer(torch.randn(B, N, C))[~hard].square().sum().backward()

    blocks = {"attn": [layer.attn], "mlp": [layer.ffn]}
    for block in blocks.get(variant, [layer.attn, layer.ffn]):
        for name, param in block.named_parameters():
            assert param.grad is None or param.grad.abs().max() == 0, name
    assert (soft.grad[~hard] != 0).all()
    assert (soft.grad[hard] == 0).all()


def test_gradient_of_the_mask_is_the_output_of_the_block():
    layer = make_layer("mlp", num_prefix=0, adapter=None).train()
    soft = torch.rand(B, N, requires_grad=True)
    fix_dispatch(layer, mixed_mask().float() + (soft - soft.detach()))
    x, weight = torch.randn(B, N, C), torch.randn(B, N, C)
    (layer(x) * weight).sum().backward()
    with torch.no_grad():
        stream = x + layer._attn_branch(x, None)
        expected = (layer._mlp_branch(stream, None) * weight).sum(-1)  # (B, N, C) -> (B, N)
    torch.testing.assert_close(soft.grad, expected, atol=1e-4, rtol=1e-4)


def test_layer_variant_passes_gradients_of_inactive_tokens_straight_on():
    layer = make_layer("layer", num_prefix=0, adapter=None).train()
    mask = mixed_mask()
    fix_dispatch(layer, mask.float())
    x = torch.randn(B, N, C, requires_grad=True)
    layer(x)[~mask].sum().backward()
    torch.testing.assert_close(x.grad, (~mask).float()[..., None].expand(B, N, C))
