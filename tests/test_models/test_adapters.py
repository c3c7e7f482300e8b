"""Adapters: nothing at the start, an adapter's cost, one mixture an image."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmdyt.models import BottleneckAdapter, DyTEncoderLayer, MoEAdapter
from mmdyt.models.utils import collect_dispatch

B, N, C, D = 3, 7, 32, 5
ADAPTERS = [BottleneckAdapter, MoEAdapter]


def randomised(cls, **kwargs):
    adapter = cls(C, bottleneck_dims=D, **kwargs).eval()
    for param in adapter.parameters():
        nn.init.normal_(param)
    return adapter


@pytest.mark.parametrize("norm", ["none", "in", "out"])
@pytest.mark.parametrize("cls", ADAPTERS)
def test_a_fresh_adapter_adds_nothing_and_learns(cls, norm):
    adapter = cls(C, norm=norm)
    out = adapter(torch.randn(B, N, C))
    assert out.abs().max() == 0
    (out * torch.randn(B, N, C)).sum().backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in adapter.parameters())


@pytest.mark.parametrize("cls", ADAPTERS)
def test_init_weights_keeps_the_zero_start_under_an_init_cfg(cls):
    adapter = cls(C, init_cfg=dict(type="Normal", layer="Linear", std=1.0, bias=1.0))
    adapter.init_weights()
    assert adapter.eval()(torch.randn(B, N, C)).abs().max() == 0


@torch.no_grad()
def test_bottleneck_adapter_is_paper_equation_1():
    adapter = randomised(BottleneckAdapter, scale=0.3)
    x = torch.randn(B, N, C)
    hidden = (x @ adapter.down.weight.T + adapter.down.bias).clamp(min=0)
    expected = 0.3 * (hidden @ adapter.up.weight.T + adapter.up.bias)
    torch.testing.assert_close(adapter(x), expected)


@pytest.mark.parametrize("cls", ADAPTERS)
@torch.no_grad()
def test_norm_stands_before_down_or_after_up(cls):
    before, after = randomised(cls, norm="in"), randomised(cls, norm="out", scale=0.5)
    x = torch.randn(B, N, C)
    if cls is BottleneckAdapter:  # the router of a MoE sees the stream itself
        torch.testing.assert_close(before(x), before(4 * x + 1), atol=1e-3, rtol=1e-3)
    nn.init.ones_(after.norm_out.weight), nn.init.zeros_(after.norm_out.bias)
    # As in the released code the scale stands before the norm, which undoes it.
    assert torch.allclose(after(x).std(-1, unbiased=False), torch.tensor(1.0), atol=1e-2)


@torch.no_grad()
def test_moe_with_one_chosen_expert_is_that_experts_adapter():
    moe, one = randomised(MoEAdapter, router_norm="none"), randomised(BottleneckAdapter)
    nn.init.zeros_(moe.router.weight)
    moe.router.bias.copy_(torch.tensor([0.0, 0.0, 1.0, 0.0]))
    for projection in ("down", "up"):
        target = getattr(one, projection)
        target.weight.copy_(getattr(moe, f"{projection}_weight")[2])
        target.bias.copy_(getattr(moe, f"{projection}_bias")[2])
    x = torch.randn(B, N, C)
    torch.testing.assert_close(moe(x), one(x))


@torch.no_grad()
def test_moe_mixes_per_image_from_the_mean_of_all_tokens():
    moe = randomised(MoEAdapter)
    x = torch.randn(B, N, C)
    alpha = moe.route(x)
    assert alpha.shape == (B, 4)
    torch.testing.assert_close(alpha.sum(1), torch.ones(B))
    torch.testing.assert_close(alpha, moe.router(x.mean(1)).softmax(-1))
    torch.testing.assert_close(moe(x), torch.cat([moe(image[None]) for image in x]))


@pytest.mark.parametrize("router_norm", ["softmax", "none"])
def test_the_router_starts_near_equal_shares(router_norm):
    alpha = MoEAdapter(C, num_experts=4, router_norm=router_norm).route(0.1 * torch.randn(B, N, C))
    torch.testing.assert_close(alpha, torch.full((B, 4), 0.25), atol=0.02, rtol=0)


@pytest.mark.parametrize("num_experts, millions", [(2, 2.40), (4, 4.80), (8, 9.60), (12, 14.40)])
def test_moe_parameters_of_the_paper(num_experts, millions):
    """12 layers of ViT-B, d = 64."""
    with torch.device("meta"):
        adapter = MoEAdapter(768, num_experts=num_experts, bottleneck_dims=64)
    count = 12 * sum(p.numel() for p in adapter.parameters())
    assert count / 1e6 == pytest.approx(millions, rel=2e-3)


def test_moe_costs_about_one_adapter():
    def flops(adapter: nn.Module) -> int:
        with FlopCounterMode(display=False) as counter, torch.device("meta"):
            adapter.to("meta")(torch.empty(1, 197, 768))
        return counter.get_total_flops()

    one = flops(BottleneckAdapter(768))
    assert one < flops(MoEAdapter(768, num_experts=4)) < 1.03 * one
    assert flops(MoEAdapter(768, num_experts=12)) < 1.07 * one


def test_router_statistics_stand_in_the_records():
    """Those of other adapters have nothing extra."""
    x = torch.randn(2, N, C)
    for kind, extra in (("MoEAdapter", {"router": (2, 4)}), ("BottleneckAdapter", {})):
        layer = DyTEncoderLayer(C, 4, 64, adapter=dict(type=f"mmdyt.{kind}"))
        with collect_dispatch(layer) as records:
            layer(x)
        assert {name: tensor.shape for name, tensor in records[0].extra.items()} == extra


@pytest.mark.parametrize("cls", ADAPTERS)
@pytest.mark.parametrize(
    "bad, message",
    [
        (dict(bottleneck_dims=0), r"adapter.bottleneck_dims .* got 0"),
        (dict(norm="both"), r"adapter.norm='both' .*\['none', 'in', 'out'\]"),
    ],
)
def test_bad_arguments_are_named(cls, bad, message):
    with pytest.raises(ValueError, match=message):
        cls(C, **bad)


@pytest.mark.parametrize(
    "bad, message",
    [
        (dict(num_experts=0), r"adapter.num_experts .* got 0"),
        (dict(router_norm="relu"), r"adapter.router_norm='relu' .*\['softmax', 'none'\]"),
    ],
)
def test_bad_arguments_of_the_mixture_are_named(bad, message):
    with pytest.raises(ValueError, match=message):
        MoEAdapter(C, **bad)


@pytest.mark.parametrize("norm", ["none", "in", "out"])
def test_adding_to_the_stream_is_the_sum(norm):
    adapter = randomised(BottleneckAdapter, norm=norm, scale=0.3)
    grads = []
    x, stream = torch.randn(B, N, C), torch.randn(B, N, C)
    before = x.clone(), stream.clone()
    for add in (lambda stream, x: adapter(x, stream), lambda stream, x: stream + adapter(x)):
        adapter.zero_grad()
        out = add(stream, x)
        out.square().sum().backward()
        grads.append((out, *(p.grad.clone() for p in adapter.parameters())))
    for ours, plain in zip(*grads):
        torch.testing.assert_close(ours, plain, atol=1e-4, rtol=1e-4)
    assert torch.equal(x, before[0]) and torch.equal(stream, before[1])


def test_autocast_does_not_narrow_the_stream():
    adapter = randomised(BottleneckAdapter)
    x = torch.randn(B, N, C)
    with torch.autocast("cpu", torch.bfloat16):
        out = adapter(x, x * 1e4)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out - x * 1e4, adapter(x), atol=0.2, rtol=0.05)
