"""Dispatchers: learned, per image, random; and which layers have one."""

import pytest
import torch
from torch import nn

from mmdyt.models import RandomDispatcher, SampleDispatcher, TokenDispatcher
from mmdyt.models.utils import collect_dispatch, dispatch_mode
from tests.conftest import build, randomise_adapters, tiny_backbone, tiny_classifier
from tests.test_models.helpers import both_executions, train_step

B, N, C = 4, 9, 32


def records_of(backbone, images=None):
    backbone.eval()
    with collect_dispatch(backbone) as records, torch.no_grad():
        backbone(torch.randn(2, 3, 28, 28) if images is None else images)
    return records


def test_token_dispatcher_decides_by_probability_in_evaluation():
    dispatcher = TokenDispatcher(C, threshold=0.7).eval()
    nn.init.normal_(dispatcher.proj.weight)
    x = torch.randn(B, N, C)
    mask, logits = dispatcher(x)
    torch.testing.assert_close(logits, (x @ dispatcher.proj.weight[0]))
    assert torch.equal(mask, logits.sigmoid() >= 0.7)
    assert mask.dtype == torch.bool


def test_token_dispatcher_samples_hard_masks_with_a_gradient_in_training():
    dispatcher = TokenDispatcher(C).train()
    mask, _ = dispatcher(torch.randn(B, 500, C))
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert 0.4 < mask.mean() < 0.6
    mask.sum().backward()
    assert dispatcher.proj.weight.grad.abs().max() > 0


def test_init_weights_undoes_a_parents_init_cfg():
    dispatcher = TokenDispatcher(C, init_cfg=dict(type="Constant", layer="Linear", val=3, bias=3))
    dispatcher.init_weights()
    assert dispatcher.proj.bias == 0 and dispatcher.proj.weight.abs().max() < 0.1


@pytest.mark.parametrize("training", [True, False])
def test_sample_dispatcher_decides_once_an_image(training):
    dispatcher = SampleDispatcher(C).train(training)
    nn.init.normal_(dispatcher.proj.weight, std=5.0)
    x = torch.randn(64, N, C)
    mask, logits = dispatcher(x)
    assert mask.shape == logits.shape == (64, N)
    assert torch.equal(mask, mask[:, :1].expand(64, N))
    assert 0 < mask[:, 0].float().mean() < 1
    torch.testing.assert_close(logits[:, 0], dispatcher.proj(x.mean(1))[:, 0])


def test_sample_dispatch_leaves_the_class_token_active():
    backbone = build(tiny_backbone(dispatcher=dict(type="mmdyt.SampleDispatcher")))
    for layer in backbone.layers:
        nn.init.constant_(layer.dispatcher["mlp"].proj.bias, -9.0)
    assert [r.num_active().tolist() for r in records_of(backbone)] == [[1, 1]] * 3
    randomise_adapters(backbone)
    torch.testing.assert_close(*both_executions(backbone, torch.randn(2, 3, 28, 28)))


def test_random_dispatcher_holds_its_rate():
    dispatcher = RandomDispatcher(C, rate=0.3)
    x = torch.empty(50, 400, C)
    mask, logits = dispatcher.train()(x)
    assert logits is None and mask.dtype == torch.float32
    assert mask.mean() == pytest.approx(0.3, abs=0.02)
    assert not torch.equal(mask[0], mask[1]) and not torch.equal(mask, dispatcher(x)[0])
    assert dispatcher.eval()(x)[0].float().mean() == pytest.approx(0.3, abs=0.1)
    assert RandomDispatcher(C, rate=1.0)(x)[0].min() == 1


def test_random_dispatch_is_deterministic_in_evaluation():
    """Whatever ran before, whatever the batch, and after reloading."""
    config = tiny_backbone(dispatcher=dict(type="mmdyt.RandomDispatcher", rate=0.5))
    backbone, other = build(config), build(config)
    first, again = records_of(backbone), records_of(backbone)
    assert all(torch.equal(a.mask, b.mask) for a, b in zip(first, again))
    assert not torch.equal(first[0].mask, first[1].mask)  # layers differ

    other.load_state_dict(backbone.state_dict())
    alone = records_of(other, torch.randn(1, 3, 28, 28))
    assert all(torch.equal(a.mask[:1], b.mask) for a, b in zip(first, alone))


@pytest.mark.parametrize("kind", ["RandomDispatcher", "SampleDispatcher"])
def test_other_dispatchers_train(kind):
    model = build(tiny_classifier(backbone=dict(dispatcher=dict(type=f"mmdyt.{kind}"))))
    before = model.backbone.layers[0].adapter["mlp"].up.weight.clone()
    losses = train_step(model, torch.randn(4, 3, 28, 28))
    assert losses["loss"] > 0 and 0 < losses["activation_rate"] < 1
    assert not torch.equal(before, model.backbone.layers[0].adapter["mlp"].up.weight)


@pytest.mark.parametrize("num_dense", [0, 2])
def test_the_first_layers_may_stay_dense(num_dense):
    backbone = build(tiny_backbone(num_dense_layers=num_dense))
    assert [record.layer for record in records_of(backbone)] == list(range(num_dense, 3))
    assert all(len(layer.adapter) == 1 for layer in backbone.layers)
    with dispatch_mode(backbone, "complete"):
        assert len(records_of(backbone)) == 3 - num_dense


@pytest.mark.parametrize("num_dense", [-1, 3, 1.5, True])
def test_a_wrong_number_of_dense_layers_is_named(num_dense):
    with pytest.raises(ValueError, match=rf"backbone.num_dense_layers .*\[0, 2\], got {num_dense}"):
        build(tiny_backbone(num_dense_layers=num_dense))
    with pytest.raises(ValueError, match=r"\[0, 3\], got 4"):
        build(tiny_backbone(num_dense_layers=4, dispatch=None))


@pytest.mark.parametrize(
    "cls, bad, message",
    [
        (RandomDispatcher, dict(rate=0.0), r"dispatcher.rate .*\(0, 1\], got 0.0"),
        (RandomDispatcher, dict(rate=1.5), r"dispatcher.rate .*\(0, 1\], got 1.5"),
        (TokenDispatcher, dict(tau=0.0), "dispatcher.tau .* got 0.0"),
        (SampleDispatcher, dict(tau=-1.0), "dispatcher.tau .* got -1.0"),
        (TokenDispatcher, dict(threshold=1.0), r"dispatcher.threshold .*\(0, 1\), got 1.0"),
    ],
)
def test_bad_arguments_are_named(cls, bad, message):
    with pytest.raises(ValueError, match=message):
        cls(C, **bad)
