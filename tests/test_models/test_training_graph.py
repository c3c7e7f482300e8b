"""Training builds the graph of active tokens only, and no gradient changes."""

import pytest
import torch
from hypothesis import given
from mmengine.runner.activation_checkpointing import turn_on_activation_checkpointing
from mmpretrain.structures import DataSample
from torch import nn

from mmdyt.evaluation.timing import saved_activations
from mmdyt.models.layers import DispatchedLayer, DyTEncoderLayer, dispatched_layer, rules
from mmdyt.models.utils import dispatched_layers
from tests.conftest import build, randomise_adapters, tiny_classifier
from tests.strategies import decisions
from tests.test_models.helpers import fix_dispatch, spread_dispatch

QUIET = dict(adapter=dict(type="mmdyt.BottleneckAdapter", drop_rate=0.0))
SWIN = dict(
    type="mmdyt.DyTSwinTransformer",
    arch=dict(embed_dims=16, depths=[1, 1, 1, 1], num_heads=[2, 2, 2, 2]),
    img_size=64,
    window_size=2,
    drop_path_rate=0.0,
)
BACKBONES = {
    "vit": {},
    "attn_mlp": dict(dispatch="attn_mlp"),
    "tome": dict(type="mmdyt.ToMeViT", r=4),
    "prompts": dict(type="mmdyt.PromptedViT"),
    "ssf": dict(type="mmdyt.SSFViT"),
}


def gradients(model, images, monkeypatch, plain: bool, autocast=False):
    """Gradients of one step; ``plain`` computes every token with a graph."""
    if plain:
        monkeypatch.setattr(DispatchedLayer, "token_wise", {})
        for layer in dispatched_layers(model):
            monkeypatch.setattr(type(layer), "token_wise", {})
    torch.manual_seed(1)
    samples = [DataSample().set_gt_label(i % 10) for i in range(len(images))]
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        total, _ = model.parse_losses(model.train().loss(images, samples))
    total.backward()
    monkeypatch.undo()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def compare(model, images, monkeypatch, **kwargs):
    randomise_adapters(model)
    spread_dispatch(model)
    ours = gradients(model, images, monkeypatch, plain=False)
    plain = gradients(model, images, monkeypatch, plain=True)
    assert ours.keys() == plain.keys()
    assert any(".dispatcher." in name and grad.any() for name, grad in ours.items())
    for name, grad in plain.items():
        torch.testing.assert_close(ours[name], grad, atol=1e-6, rtol=1e-4, msg=name)


@pytest.mark.parametrize("tuning", ["peft", "bitfit", "full"])
@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_gradients_are_those_of_the_plain_form(backbone, tuning, monkeypatch):
    model = build(tiny_classifier(BACKBONES[backbone] | QUIET, tuning=tuning))
    model.init_weights()
    compare(model, torch.randn(4, 3, 28, 28), monkeypatch)


@pytest.mark.parametrize("with_cp", [False, True])
def test_gradients_of_swin(with_cp, monkeypatch):
    head = dict(type="LinearClsHead", num_classes=10, in_channels=128)
    model = build(
        dict(
            type="mmdyt.DyTImageClassifier",
            backbone=SWIN | QUIET | dict(with_cp=with_cp),
            neck=dict(type="GlobalAveragePooling"),
            head=head,
            tuning="full",
        )
    )
    model.init_weights()
    compare(model, torch.randn(2, 3, 64, 64), monkeypatch)


def test_bf16_autocast_keeps_all_gradients(monkeypatch):
    """A cast of a weight that was first made without a graph would lose its gradient."""
    model = build(tiny_classifier(QUIET, tuning="full"))
    model.init_weights()
    randomise_adapters(model)
    spread_dispatch(model)
    images = torch.randn(4, 3, 28, 28)
    # As on a GPU, where autocast does not change the rule.
    monkeypatch.setattr(dispatched_layer, "autocasts_on_cpu", lambda: False)
    ours = gradients(model, images, monkeypatch, plain=False, autocast=True)
    plain = gradients(model, images, monkeypatch, plain=True, autocast=True)
    assert ours.keys() == plain.keys()
    for name, grad in plain.items():
        if ".ffn." in name:
            similarity = torch.cosine_similarity(ours[name].flatten(), grad.flatten(), dim=0)
            assert similarity > 0.98, name


def test_bf16_on_cpus_has_fixed_shapes():
    """Products in bfloat16 there are compiled for every number of tokens anew."""
    layer = dispatched_layers(build(tiny_classifier(QUIET)))[1].train()
    mask = torch.ones(2, 5)
    assert layer.rule("mlp", mask) is rules.active_only
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.rule("mlp", mask) is rules.masked


@pytest.mark.parametrize("tuning", ["peft", "full"])
@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_checkpointing_changes_neither_losses_nor_gradients(backbone, tuning):
    """On equal weights and noise."""
    images, results = torch.randn(4, 3, 28, 28), []
    objective = dict(complete_weight=0.7, distill_weight=1.3)
    for with_cp in (False, True):
        torch.manual_seed(0)
        config = BACKBONES[backbone] | QUIET | dict(with_cp=with_cp)
        model = build(tiny_classifier(config, tuning=tuning, dyt=objective))
        model.init_weights()
        randomise_adapters(model)
        spread_dispatch(model)
        samples = [DataSample().set_gt_label(i % 10) for i in range(len(images))]
        torch.manual_seed(1)
        losses = model.train().loss(images, samples)
        model.parse_losses(losses)[0].backward()
        trained = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        results.append(trained | {f"loss {n}": v.detach() for n, v in losses.items()})
    plain, checkpointed = results
    assert plain.keys() == checkpointed.keys()
    for name, value in plain.items():
        torch.testing.assert_close(checkpointed[name], value, atol=2e-6, rtol=1e-4, msg=name)


def test_checkpointing_keeps_less_for_the_backward_pass():
    kept = []
    for with_cp in (False, True):
        model = build(tiny_classifier(QUIET | dict(with_cp=with_cp))).train()
        samples = [DataSample().set_gt_label(i % 10) for i in range(4)]
        images = torch.randn(4, 3, 28, 28)
        kept.append(saved_activations(model, lambda: model.loss(images, samples))[1])  # noqa: B023
    assert kept[1] < 0.75 * kept[0]


def test_checkpointing_that_repeats_decisions_is_refused():
    model = build(tiny_classifier(QUIET)).train()
    turn_on_activation_checkpointing(model, [f"backbone.layers.{i}" for i in range(3)])
    samples = [DataSample().set_gt_label(i % 10) for i in range(2)]
    with pytest.raises(RuntimeError, match=r"backbone.with_cp=True"):
        model.loss(torch.randn(2, 3, 28, 28), samples)


def make_layer(**kwargs):
    shape = dict(embed_dims=32, num_heads=4, feedforward_channels=64, num_prefix=0)
    return DyTEncoderLayer(**shape, **QUIET, **kwargs).train()


def graph_rows(layer, x):
    """Tokens that the MLP ran on, with and without a graph."""
    rows = {True: [], False: []}
    handle = layer.ffn.register_forward_hook(
        lambda _module, _args, out: rows[out.requires_grad].append(out.shape[:-1].numel())
    )
    layer(x)
    handle.remove()
    return rows[True], rows[False]


@given(decision=decisions(max_prefix=0))
def test_inactive_tokens_have_no_graph(decision):
    layer, mask = make_layer(), decision.mask
    soft = torch.rand(mask.shape, requires_grad=True)
    fix_dispatch(layer, mask.float() + (soft - soft.detach()))
    x = decision.stream(32).requires_grad_()
    assert graph_rows(layer, x) == ([int(mask.sum())], [int((~mask).sum())])
    layer(x).sum().backward()
    assert soft.grad.ne(0).all() and torch.isfinite(x.grad).all()


@pytest.mark.parametrize("noise", ["drop_rate", "drop_path_rate"])
def test_noise_inside_the_branch_keeps_the_plain_form(noise):
    layer = make_layer(**{noise: 0.5})
    fix_dispatch(layer, torch.ones(2, 12))
    x = torch.randn(2, 12, 32, requires_grad=True)
    assert graph_rows(layer, x) == ([24], [])
    for part in layer.ffn.modules():
        if isinstance(part, nn.Module) and part is not layer.ffn:
            part.eval()
    assert graph_rows(layer, x) == ([24], [0])
