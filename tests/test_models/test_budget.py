"""Budgets chosen after training: a shift of all logits, and a fixed capacity."""

import copy
import shutil
from functools import partial

import pytest
import torch
from mmpretrain.structures import DataSample

import mmdyt
from mmdyt.evaluation import CostAccount
from mmdyt.models.utils import (
    collect_dispatch,
    dispatch_mode,
    dispatched_layers,
    set_budget,
    set_capacity,
    set_shift,
)
from mmdyt.models.utils.budget_table import interpolate, own_fingerprint
from tests.conftest import build, randomise_adapters, tiny_classifier
from tests.test_models.helpers import both_executions, spread_dispatch

VARIANTS = ["mlp", "attn", "attn_mlp", "layer"]
IMAGES = torch.linspace(0.2, 3, 4)[:, None, None, None]


def lively(backbone: dict | None = None, **overrides):
    """A classifier in inference whose adapters and decisions matter."""
    model = build(tiny_classifier(backbone, **overrides))
    randomise_adapters(model)
    spread_dispatch(model)
    return model.eval()


def records_of(model, images):
    with torch.no_grad(), collect_dispatch(model) as records:
        model(images)
    return records


def table(model) -> dict:
    """A table of two budgets, as budget_curve.py writes it."""
    names = [f"{layer.layer_index:02d}_mlp" for layer in dispatched_layers(model)]
    points = [
        dict(shift=shift, rate=rate, gflops=10 * rate, accuracy=90.0, rates=dict.fromkeys(names, r))
        | dict(capacity=dict(gflops=10 * rate + 1, accuracy=80.0))
        for shift, rate, r in ((-1.0, 0.2, 0.1), (3.0, 0.8, 0.5))
    ]
    return dict(weights=own_fingerprint(model), points=points)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("cls_token", [True, False])
@torch.no_grad()
def test_a_capacity_is_the_masked_model_with_the_same_tokens(variant, cls_token):
    out_type = "cls_token" if cls_token else "avg_featmap"
    backbone = dict(dispatch=variant, with_cls_token=cls_token, out_type=out_type)
    model = lively(backbone).backbone
    images = torch.randn(4, 3, 28, 28) * IMAGES
    branches = [(layer, name) for layer in dispatched_layers(model) for name in layer.dispatcher]
    names = [f"{layer.layer_index:02d}_{name}" for layer, name in branches]
    for rate in (0.0, 0.005, 0.37, 1.0):
        set_capacity(model, dict.fromkeys(names, rate))
        static, masked = both_executions(model, images)
        torch.testing.assert_close(static, masked, atol=1e-5, rtol=1e-5)
        expected = max(1, cls_token + max(round(rate * 49), rate > 0))
        for record in records_of(model, images):
            assert record.num_active().tolist() == [expected] * 4 and not record.padded


@torch.no_grad()
def test_a_capacity_takes_the_tokens_of_the_largest_logits():
    model = lively()
    set_capacity(model, 0.3)
    for record in records_of(model, torch.randn(2, 3, 28, 28)):
        patches, logits = record.mask[:, 1:], record.logits[:, 1:]
        for chosen, values in zip(patches, logits):
            assert values[chosen].min() >= values[~chosen].max()


NEEDS_COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


@pytest.mark.parametrize(
    "backend, variant",
    [
        *(("aot_eager", variant) for variant in VARIANTS),
        pytest.param("inductor", "mlp", marks=[pytest.mark.long, NEEDS_COMPILER]),
    ],
)
@torch.no_grad()
def test_a_capacity_compiles_to_one_graph_without_settings(backend, variant):
    torch._dynamo.reset()
    model = lively(dict(dispatch=variant)).backbone
    set_capacity(model, 0.5)
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    for batch in (2, 3):
        images = torch.randn(batch, 3, 28, 28)
        torch.testing.assert_close(compiled(images)[0], model(images)[0], atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@torch.no_grad()
def test_a_capacity_runs_in_a_cuda_graph():
    model = lively().backbone.cuda()
    set_capacity(model, 0.5)
    images, graph = torch.randn(2, 3, 28, 28, device="cuda"), torch.cuda.CUDAGraph()
    expected = model(images)[0]
    with torch.cuda.graph(graph):
        (out,) = model(images)
    graph.replay()
    torch.testing.assert_close(out, expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_shift_moves_the_rate_and_zero_is_the_trained_model():
    model = lively()
    images = torch.randn(4, 3, 28, 28) * IMAGES
    trained, rates = model(images), []
    for shift in (-64.0, -1.0, 0.0, 1.0, 64.0):
        set_shift(model, shift)
        records = records_of(model, images)
        rates.append(sum(float(record.rate().mean()) for record in records) / len(records))
        skipped, masked = both_executions(model, images)
        torch.testing.assert_close(skipped, masked, atol=1e-5, rtol=1e-5)
        if shift == 0:
            assert torch.equal(skipped, trained)
    assert rates == sorted(rates) and rates[0] == 0 and rates[-1] == 1
    with dispatch_mode(model, "complete"):
        torch.testing.assert_close(skipped, model(images), atol=1e-5, rtol=1e-5)


def test_training_ignores_a_budget():
    model, plain = lively(), lively()
    plain.load_state_dict(model.state_dict())
    set_shift(model, -64.0)
    for one in (model, plain):
        one.train()
    outs = []
    for one in (model, plain):
        torch.manual_seed(0)
        outs.append(one(torch.ones(2, 3, 28, 28)))
    assert torch.equal(*outs)


def test_a_table_does_not_outlast_training(tmp_path):
    model = lively()
    model.budgets = table(model)
    images = torch.randn(2, 3, 28, 28)
    samples = [DataSample().set_gt_label(label) for label in (0, 1)]
    with torch.no_grad():
        model.loss(images, samples)  # as a validation that logs its loss
    assert set_budget(model, rate=0.5, capacity=True)["rate"] == pytest.approx(0.5)
    model.train()
    model.loss(images, samples)
    assert not any(layer.fixed_decisions or layer.fixed_rules for layer in dispatched_layers(model))
    with pytest.raises(ValueError, match="came without a table of budgets"):
        set_budget(model, rate=0.5)
    mmdyt.save_adapter(model, tmp_path / "adapter.safetensors")
    meta = mmdyt.fileio.load_from_safetensors(str(tmp_path / "adapter.safetensors"))["meta"]
    assert meta["budgets"] is None


def test_a_table_says_which_shift_and_capacity_a_budget_needs(tmp_path):
    model = lively()
    model.budgets = table(model)
    for asked, rate in ((dict(rate=0.5), 0.5), (dict(gflops=5.0), 0.5), (dict(rate=0.2), 0.2)):
        point = mmdyt.set_budget(model, **asked)
        shift = -1.0 + 4 * (rate - 0.2) / 0.6
        assert point["shift"] == pytest.approx(shift) and point["rate"] == pytest.approx(rate)
        for layer in dispatched_layers(model):
            assert layer.fixed_decisions["mlp"].shift == pytest.approx(shift)
            assert not layer.fixed_rules
    for asked in (dict(rate=0.5), dict(gflops=6.0)):
        point = set_budget(model, **asked, capacity=True)
        # What was measured of the capacity, not of the threshold.
        assert (point["rate"], point["gflops"], point["accuracy"]) == pytest.approx((0.5, 6.0, 80))
    for layer in dispatched_layers(model):
        assert layer.fixed_decisions["mlp"].rate == pytest.approx(0.3)
    images = torch.randn(2, 3, 28, 28)
    account = CostAccount(model)
    flops = account.flops(records_of(model, images), images)
    assert flops[0] == flops[1] == pytest.approx(account.flops_at_rate(images, 0.3))

    mmdyt.save_adapter(model, tmp_path / "adapter.safetensors")
    again = build(tiny_classifier())
    again.load_state_dict(model.state_dict())  # the frozen base, which no file holds
    state = mmdyt.fileio.load_from_safetensors(str(tmp_path / "adapter.safetensors"))["state_dict"]
    again.load_state_dict(state)
    assert set_budget(again, rate=0.5)["shift"] == pytest.approx(1.0)
    # A backbone alone has no head to know it by, half precision is the same training.
    assert set_budget(again.backbone, rate=0.5, budgets=again.budgets)["shift"] == pytest.approx(1)
    assert set_budget(copy.deepcopy(again).bfloat16(), rate=0.5)["shift"] == pytest.approx(1.0)


def test_a_budget_that_cannot_be_is_refused_with_what_can(subtests):
    model, other = lively(), lively()
    model.budgets = table(model)
    headless = copy.deepcopy(model)
    torch.nn.init.normal_(headless.head.fc.weight)
    plain = build(tiny_classifier(dict(dispatch=None), dyt=None))
    random = build(tiny_classifier(dict(dispatcher=dict(type="mmdyt.RandomDispatcher"))))
    sample = build(tiny_classifier(dict(dispatcher=dict(type="mmdyt.SampleDispatcher"))))
    cases = {
        r"rate=0\.1 .* \[0\.2, 0\.8\]": lambda: set_budget(model, rate=0.1),
        r"gflops=9 .* \[2\.0, 8\.0\]": lambda: set_budget(model, gflops=9),
        "set_budget: rate must be a number": lambda: set_budget(model, rate="0.5"),
        "either rate or gflops": lambda: set_budget(model),
        "either rate or gflops, got": lambda: set_budget(model, rate=0.3, gflops=3.0),
        "no token dispatchers": lambda: set_budget(plain, rate=0.3),
        "RandomDispatcher has none": lambda: set_shift(random, 1.0),
        "budget_curve.py CONFIG CHECKPOINT": lambda: set_budget(other, rate=0.3),
        "another checkpoint": lambda: set_budget(other, rate=0.3, budgets=table(model)),
        "head differ, first head": lambda: set_budget(headless, rate=0.3, budgets=table(model)),
        **{
            rf"no table of budgets: {what}": partial(set_budget, model, rate=0.3, budgets=wrong)
            for what, wrong in {
                "it is a list": [table(model)],
                "'weights', the": {},
                "'points' is": table(model) | dict(points=[]),
                "'weights', the fing": table(model) | dict(weights=dict(hash="", sketch=None)),
                "'weights', the fingerprint": table(model) | dict(weights=dict(sketch={})),
                "a point lacks": table(model) | dict(trained=dict(shift=None)),
                "a point .* the rate of": table(model)
                | dict(trained=table(model)["points"][0] | dict(rates={})),
                "the capacity of": table(model)
                | dict(trained=table(model)["points"][0] | dict(capacity=None)),
            }.items()
        },
        r"capacity must be a number in \(0, 1\], got 1.5": lambda: set_capacity(model, 1.5),
        r"capacity must be a number in \(0, 1\], got 0": lambda: set_capacity(model, 0),
        "the model has": lambda: set_capacity(model, {"07_mlp": 0.5}),
        "decides on whole images": lambda: set_capacity(sample, 0.5),
    }
    for message, call in cases.items():
        with subtests.test(message), pytest.raises(ValueError, match=message):
            call()
    assert all(not layer.fixed_decisions for layer in dispatched_layers(model))


def test_the_ends_of_a_table_are_inside_its_range():
    model = lively()
    points = table(model)["points"]
    assert [interpolate(points, "rate", rate)["shift"] for rate in (0.2, 0.8)] == [-1.0, 3.0]
