"""Training builds the graph of active tokens only, and no gradient changes."""

import pytest
import torch
from mmengine.runner.activation_checkpointing import turn_on_activation_checkpointing
from mmpretrain.structures import DataSample
from torch import nn

from mmdyt.evaluation.timing import saved_activations
from mmdyt.models.layers import DispatchedLayer, DyTEncoderLayer
from mmdyt.models.utils import dispatched_layers
from tests.conftest import build, randomise_adapters, tiny_classifier
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
    ours = gradients(model, images, monkeypatch, plain=False, autocast=True)
    plain = gradients(model, images, monkeypatch, plain=True, autocast=True)
    assert ours.keys() == plain.keys()
    for name, grad in plain.items():
        if ".ffn." in name:
            similarity = torch.cosine_similarity(ours[name].flatten(), grad.flatten(), dim=0)
            assert similarity > 0.98, name


def both_forms(backbone, images, form, tuning="peft", **objective):
    """Gradients of two plain passes and of another form, on equal weights and noise."""
    grads = []
    for change in ({}, form):
        torch.manual_seed(0)
        config = tiny_classifier(
            BACKBONES[backbone] | QUIET | {k: v for k, v in change.items() if k == "with_cp"},
            tuning=tuning,
            dyt=objective | {k: v for k, v in change.items() if k != "with_cp"},
        )
        model = build(config)
        model.init_weights()
        randomise_adapters(model)
        spread_dispatch(model)
        samples = [DataSample().set_gt_label(i % 10) for i in range(len(images))]
        torch.manual_seed(1)
        losses = model.train().loss(images, samples)
        total, _ = model.parse_losses(losses)
        total.backward()
        trained = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        grads.append(trained | {f"loss {n}": v.detach() for n, v in losses.items()})
    return grads


@pytest.mark.parametrize("form", [dict(joint_passes=True), dict(with_cp=True)], ids=str)
@pytest.mark.parametrize("tuning", ["peft", "full"])
@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_other_forms_have_the_losses_and_gradients_of_two_plain_passes(backbone, tuning, form):
    objective = dict(complete_weight=0.7, distill_weight=1.3)
    plain, other = both_forms(backbone, torch.randn(4, 3, 28, 28), form, tuning, **objective)
    assert plain.keys() == other.keys()
    for name, value in plain.items():
        torch.testing.assert_close(other[name], value, atol=2e-6, rtol=1e-4, msg=name)


def test_joint_passes_run_what_is_before_the_first_decision_once():
    model = build(tiny_classifier(QUIET, dyt=dict(joint_passes=True)))
    images = {}
    for name in ("backbone.patch_embed", "backbone.layers.0.attn", "backbone.layers.1.attn"):
        images[name] = []
        model.get_submodule(name).register_forward_hook(
            lambda _m, args, _o, name=name: images[name].append(len(args[0]))
        )
    samples = [DataSample().set_gt_label(i % 10) for i in range(4)]
    model.train().loss(torch.randn(4, 3, 28, 28), samples)
    assert list(images.values()) == [[4], [4], [8]]


def test_joint_passes_leave_the_model_as_it_was():
    model = build(tiny_classifier(QUIET, dyt=dict(joint_passes=True)))
    samples = [DataSample().set_gt_label(i % 10) for i in range(4)]
    images = torch.randn(4, 3, 28, 28)
    for bad in (None, samples):  # a failing pass too
        try:
            model.train().loss(images, bad)
        except TypeError:
            assert bad is None
    assert "forward" not in vars(model.backbone)
    assert all(layer.dispatch_mode == "dynamic" for layer in dispatched_layers(model))
    assert all(layer.doubles is None for layer in dispatched_layers(model))


def test_joint_passes_refuse_what_they_cannot_keep_apart():
    with pytest.raises(ValueError, match=r"joint_passes.*complete_weight > 0, got 0"):
        build(tiny_classifier(dyt=dict(joint_passes=True, complete_weight=0.0)))
    backbone = dict(patch_cfg=dict(norm_cfg=dict(type="BN")))
    with pytest.raises(ValueError, match=r"without batch norms, got BatchNorm2d at backbone.patch"):
        build(tiny_classifier(backbone, dyt=dict(joint_passes=True)))


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


def dispatcher_gradients(share, repeats):
    """Gradients of one fixed decision's mask, with inactive tokens drawn anew each time."""
    torch.manual_seed(0)
    layer = make_layer()
    layer.inactive_share = share
    x, weight = torch.randn(2, 12, 32), torch.randn(2, 12, 32)
    hard = (torch.rand(2, 12) < 0.5).float()
    grads = []
    for _ in range(repeats):
        soft = torch.zeros(2, 12, requires_grad=True)
        fix_dispatch(layer, hard + soft)
        (layer(x) * weight).sum().backward()
        grads.append(soft.grad)
    return torch.stack(grads).double(), hard.bool()


def test_a_share_of_the_inactive_tokens_gives_an_unbiased_dispatcher_gradient():
    """Mean and variance are those of 1/p times a Bernoulli variable."""
    repeats, share = 4000, 0.25
    exact, _ = dispatcher_gradients(1.0, 1)
    sampled, active = dispatcher_gradients(share, repeats)
    torch.testing.assert_close(sampled[:, active], exact[:, active].expand(repeats, -1))
    variance = (1 / share - 1) * exact[0, ~active] ** 2
    error = (sampled.mean(0) - exact[0])[~active].abs()
    assert (error < 5 * (variance / repeats).sqrt()).all()
    measured = sampled[:, ~active].var(0)
    torch.testing.assert_close(measured, variance, rtol=0.15, atol=1e-9)


def test_a_share_of_the_inactive_tokens_changes_nothing_but_the_mask_s_gradient():
    torch.manual_seed(0)
    layer = make_layer()
    layer.requires_grad_(True)
    fix_dispatch(layer, (torch.rand(2, 12) < 0.5).float())
    x = torch.randn(2, 12, 32, requires_grad=True)
    results = []
    for share in (1.0, 0.25):
        layer.inactive_share = share
        out = layer(x)
        grads = torch.autograd.grad(out.square().sum(), [x, *layer.parameters()])
        results.append([out, *grads])
    for exact, sampled in zip(*results):
        torch.testing.assert_close(sampled, exact)


def test_a_share_outside_its_range_is_refused():
    for share in (0.0, 1.5):
        with pytest.raises(ValueError, match=rf"inactive_share must be in \(0, 1\], got {share}"):
            build(tiny_classifier(dyt=dict(inactive_share=share)))


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


@pytest.mark.parametrize("active", [0, 5, 24])
def test_inactive_tokens_have_no_graph(active):
    layer = make_layer()
    mask = torch.arange(24).view(2, 12) < active
    soft = torch.rand(2, 12, requires_grad=True)
    fix_dispatch(layer, mask.float() + (soft - soft.detach()))
    x = torch.randn(2, 12, 32, requires_grad=True)
    assert graph_rows(layer, x) == ([active], [24 - active])
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
