"""The two-forward loss of section 3.5 on mmpretrain's classifier."""

import warnings

import pytest
import torch
from mmpretrain.structures import DataSample
from torch.distributions import Bernoulli, kl_divergence

from mmdyt.models.utils import capture, collect_dispatch, dispatch_mode, trainable_names
from tests.conftest import build, tiny_classifier

QUIET = dict(adapter=dict(type="mmdyt.BottleneckAdapter", drop_rate=0.0))


def batch(size=6):
    samples = [DataSample().set_gt_label(index % 10) for index in range(size)]
    return torch.randn(size, 3, 28, 28), samples


def test_terms_and_total():
    model = build(tiny_classifier(QUIET))
    model.train()
    losses = model.loss(*batch())
    terms = {"complete.loss", "dynamic.loss", "distill_loss", "rate_loss"}
    assert set(losses) == terms | {"activation_rate"}
    total, logged = model.parse_losses(losses)
    torch.testing.assert_close(total, sum(losses[name] for name in terms))
    assert logged["loss"] is total
    total.backward()
    assert all(model.get_parameter(name).grad is not None for name in trainable_names(model))
    frozen = [param for param in model.parameters() if not param.requires_grad]
    assert frozen and all(param.grad is None for param in frozen)


def test_complete_term_is_the_loss_of_the_complete_model():
    model = build(tiny_classifier(QUIET))
    model.train()
    images, samples = batch()
    losses = model.loss(images, samples)
    with dispatch_mode(model, "complete"):
        expected = model.head.loss(model.extract_feat(images), samples)["loss"]
    torch.testing.assert_close(losses["complete.loss"], expected)


@pytest.mark.parametrize(
    "dyt, absent",
    [
        (dict(distill_weight=0.0), {"distill_loss"}),
        (dict(complete_weight=0.0), {"complete.loss"}),
        (dict(complete_weight=0.0, distill_weight=0.0), {"complete.loss", "distill_loss"}),
    ],
)
def test_ablations_leave_terms_out(dyt, absent):
    model = build(tiny_classifier(dyt=dyt))
    losses = model.loss(*batch())
    assert not absent & set(losses)
    assert {"dynamic.loss", "rate_loss"} <= set(losses)
    passes = 1 if len(absent) == 2 else 2
    with capture(model, "head") as outputs:
        model.loss(*batch())
    assert len(outputs) == passes


def test_weights_scale_their_terms():
    images, samples = batch()
    values = []
    for factor in (1.0, 3.0):
        torch.manual_seed(0)
        weights = dict(
            rate_weight=factor, complete_weight=factor, distill_weight=factor, target_rate=0.2
        )
        model = build(tiny_classifier(QUIET, dyt=weights))
        torch.manual_seed(1)
        values.append(model.loss(images, samples))
    for name in ("complete.loss", "distill_loss", "rate_loss"):
        torch.testing.assert_close(values[1][name], 3 * values[0][name])
    torch.testing.assert_close(values[1]["dynamic.loss"], values[0]["dynamic.loss"])


def test_a_collector_around_a_loss_gets_the_dynamic_pass_unless_it_asks_for_all():
    model = build(tiny_classifier(QUIET))
    with collect_dispatch(model) as records, collect_dispatch(model, all_passes=True) as everything:
        model.loss(*batch())
    assert [(r.mode, r.module) for r in records] == [
        ("dynamic", f"backbone.layers.{index}") for index in range(3)
    ]
    assert [r.mode for r in everything] == 3 * ["complete"] + 3 * ["dynamic"]
    with dispatch_mode(model, "complete"), collect_dispatch(model) as records:
        model.extract_feat(batch()[0])
    assert [r.mode for r in records] == 3 * ["complete"]


def test_a_neck_trains():
    """It is not in the pre-trained checkpoint, as the head is not."""
    neck = dict(type="LinearNeck", in_channels=32, out_channels=32, gap_dim=0)
    names = trainable_names(build(tiny_classifier(neck=neck)))
    assert "neck.fc.weight" in names and "head.fc.weight" in names


def test_multi_label_heads_distil_by_their_own_activation():
    head = dict(type="MultiLabelLinearClsHead", num_classes=10, in_channels=32)
    model = build(tiny_classifier(QUIET, head=head))
    samples = [DataSample().set_gt_score(torch.arange(10) % 2) for _ in range(6)]
    with capture(model, "head") as logits:
        loss = model.loss(torch.randn(6, 3, 28, 28), samples)["distill_loss"]
    teacher, student = (Bernoulli(logits=out) for out in logits)
    expected = kl_divergence(teacher, student).sum(1).mean()
    torch.testing.assert_close(loss, expected, atol=1e-6, rtol=1e-4)


def test_what_would_train_nothing_or_at_random_is_told():
    with pytest.warns(UserWarning, match=r"tuning='peft' finds nothing to train.*'linear'"):
        build(tiny_classifier(dict(dispatch=None, adapter=None)))
    with pytest.warns(UserWarning, match=r"model\.dyt=.* has no effect.*backbone\.dispatch"):
        build(tiny_classifier(dict(dispatch=None)))
    config = tiny_classifier(type="mmpretrain.ImageClassifier")
    del config["dyt"]
    plain = build(config)
    with pytest.warns(UserWarning, match=r"nothing reads their decisions.*collect_dispatch"):
        plain.loss(*batch())
    for layer in plain.backbone.layers:
        layer.dispatcher.requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        plain.loss(*batch())


def test_without_dispatchers_the_host_loss_stands():
    model = build(tiny_classifier(dict(dispatch=None)))
    assert set(model.loss(*batch())) == {"loss"}


def test_bf16_autocast_trains_and_evaluates():
    model = build(tiny_classifier(QUIET))
    model.train()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    before = {name: model.get_parameter(name).clone() for name in trainable_names(model)}
    images, samples = batch()
    for _ in range(2):
        with torch.autocast("cpu", torch.bfloat16):
            total, _ = model.parse_losses(model.loss(images, samples))
        total.backward()
        optimiser.step()
        optimiser.zero_grad()
    assert torch.isfinite(total)
    assert all(not torch.equal(model.get_parameter(name), old) for name, old in before.items())
    model.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.isfinite(model(images)).all()


def test_a_teacher_without_graph_leaves_autocast_its_gradients():
    """Autocast keeps casted weights; those of a pass without graph have no gradient."""
    model = build(tiny_classifier(QUIET, dyt=dict(complete_weight=0.0)))
    model.train()
    with torch.autocast("cpu", torch.bfloat16):
        total, _ = model.parse_losses(model.loss(*batch()))
    total.backward()
    assert all(model.get_parameter(name).grad is not None for name in trainable_names(model))


@pytest.mark.parametrize(
    "dyt, told",
    [
        (dict(target_rate=0.0), r"target_rate.*\(0, 1\].*0\.0"),
        (dict(target_rate=1.2), r"target_rate.*1\.2"),
        (dict(rate_weight=-1.0), r"rate_weight.*-1\.0"),
        (dict(rate=0.5), r"dyt\.rate is unknown.*target_rate"),
    ],
)
def test_bad_objectives_are_refused_at_build(dyt, told):
    with pytest.raises(ValueError, match=told):
        build(tiny_classifier(dyt=dyt))


def test_bad_tuning_is_refused_at_build():
    with pytest.raises(ValueError, match=r"tuning='lora2'.*'peft'"):
        build(tiny_classifier(tuning="lora2"))


def test_capture_names_the_children_it_could_have_meant():
    with (
        pytest.raises(ValueError, match=r"'decode_head'.*'backbone'"),
        capture(build(tiny_classifier()), "decode_head"),
    ):
        pass
