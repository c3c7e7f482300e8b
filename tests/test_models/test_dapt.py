"""DAPT: tokens that scale their own update, and one more prompt in every layer."""

import torch
from torch import nn

from mmdyt.models import DynamicAdapter
from mmdyt.models.utils import collect_dispatch, merged
from tests.conftest import build, tiny_backbone, tiny_classifier
from tests.test_models.helpers import both_executions, spread_dispatch, train_step

DAPT = dict(type="mmdyt.DAPTViT", adapter=dict(type="mmdyt.DynamicAdapter", bottleneck_dims=4))


def randomised(**args):
    adapter = DynamicAdapter(16, 4, drop_rate=0.0, **args)
    for param in adapter.parameters():
        nn.init.normal_(param)
    return adapter


@torch.no_grad()
def test_every_token_scales_its_own_update():
    adapter, x = randomised(), torch.randn(2, 5, 16)
    u = nn.functional.layer_norm(x, (16,), adapter.norm_in.weight, adapter.norm_in.bias)
    scale = (u @ adapter.token_scale.weight.T + adapter.token_scale.bias).relu()
    hidden = nn.functional.gelu(u @ adapter.down.weight.T + adapter.down.bias)
    expected = scale * (hidden @ adapter.up.weight.T + adapter.up.bias)
    torch.testing.assert_close(adapter(x), expected, atol=1e-5, rtol=1e-5)
    nn.init.zeros_(adapter.token_scale.weight), nn.init.constant_(adapter.token_scale.bias, -1)
    assert adapter(x).abs().max() == 0


@torch.no_grad()
def test_layer_l_sees_l_prompts_and_outputs_none():
    for out_type in ("cls_token", "raw", "featmap", "avg_featmap"):
        config = tiny_backbone(out_type=out_type, out_indices=[0, 2], dispatch=None)
        plain, ours = build(config), build(config | DAPT)
        seen = []
        for layer in ours.layers:
            layer.register_forward_pre_hook(
                lambda _m, args, seen=seen: seen.append(args[0].shape[1])
            )
        images = torch.randn(2, 3, 28, 28)
        assert [o.shape for o in ours(images)] == [o.shape for o in plain(images)]
        assert seen == [50, 51, 52]


def test_prompts_are_active_and_not_counted_and_skipping_is_masking():
    model = build(tiny_backbone(**DAPT, dispatch="mlp"))
    for name, param in model.named_parameters():
        if "adapter" in name or "tfts" in name:
            nn.init.normal_(param, std=0.5)
    spread_dispatch(model)
    images = torch.randn(2, 3, 28, 28)
    with collect_dispatch(model) as records:
        skipped, masked = both_executions(model, images)
    torch.testing.assert_close(skipped, masked, atol=1e-5, rtol=1e-5)
    assert [(r.num_prefix, r.mask.shape[1]) for r in records[:3]] == [(1, 50), (2, 51), (3, 52)]
    assert all(r.mask[:, : r.num_prefix].all() for r in records)
    assert train_step(build(tiny_classifier(DAPT)), torch.randn(4, 3, 28, 28))["loss"] > 0


def test_the_prompt_is_made_of_the_update_that_is_added():
    """One call of each adapter: another one would draw other dropout, and cost as much again."""
    model, calls = build(tiny_backbone(**DAPT, dispatch="mlp")), []
    for layer in model.layers:
        layer.adapter["mlp"].register_forward_hook(lambda *_: calls.append(1))
    for mode in (True, False):
        model.train(mode)(torch.randn(2, 3, 28, 28))
    assert len(calls) == 2 * len(model.layers)


@torch.no_grad()
def test_a_fresh_model_is_within_a_bound_of_the_frozen_one():
    """Each scale and shift deviates by 0.02, behind every operation."""
    plain = build(tiny_backbone(dispatch=None, adapter=None))
    ours = build(tiny_backbone(**DAPT, dispatch=None))
    ours.load_state_dict(plain.state_dict(), strict=False)
    plain.eval(), ours.eval()
    images = torch.randn(4, 3, 28, 28)
    one, other = plain(images)[0], ours(images)[0]
    assert 0.001 < (one - other).norm() / one.norm() < 0.3


@torch.no_grad()
def test_scales_and_shifts_merge():
    for config in (DAPT, dict(type="mmdyt.SSFViT")):
        model = build(tiny_classifier(config))
        for name, param in model.named_parameters():
            if "ssf" in name or "adapter" in name:
                nn.init.normal_(param, std=0.5)
        model.eval()
        small = merged(model)
        assert not any(".ssf." in name for name in small.state_dict())
        images = torch.randn(2, 3, 28, 28)
        torch.testing.assert_close(small(images), model(images), atol=1e-4, rtol=1e-4)
