"""One model trained for a range of activation rates: the draw, the offset, the spread."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmpretrain.structures import DataSample

import mmdyt
from mmdyt.models.algorithms import DyTObjective
from mmdyt.models.dispatchers import SampleDispatcher, TokenDispatcher
from mmdyt.models.utils import collect_dispatch, dispatched_layers, set_shift, trainable_names
from mmdyt.models.utils.rate_range import rate_offset
from mmdyt.ops import logit
from tests.conftest import build, tiny_classifier
from tests.test_models.helpers import spread_dispatch

RANGE = (0.3, 0.9)


def ranged(kind: str = "TokenDispatcher", **backbone):
    """A classifier that trains for a range, with decisions that differ."""
    backbone["dispatcher"] = dict(type=f"mmdyt.{kind}")
    model = build(tiny_classifier(backbone, dyt=dict(target_rate=RANGE)))
    spread_dispatch(model)
    return model.train()


def batch():
    return torch.randn(2, 3, 28, 28), [DataSample().set_gt_label(label) for label in (0, 1)]


def test_every_step_aims_at_a_rate_of_its_own():
    model, drawn = ranged(), []
    for seed in range(6):
        torch.manual_seed(seed)
        losses = model.loss(*batch())
        drawn.append(float(losses["target_rate"]))
        off = losses["activation_rate"] - losses["target_rate"]
        torch.testing.assert_close(
            losses["rate_loss"].detach(), model.objective.rate_weight * off**2
        )
    assert all(0.3 <= rate <= 0.9 for rate in drawn) and max(drawn) - min(drawn) > 0.2
    model.eval()
    with torch.no_grad():
        assert float(model.loss(*batch())["target_rate"]) == pytest.approx(0.6)


def test_small_rates_are_drawn_more_often():
    torch.manual_seed(0)
    drawn = torch.tensor([DyTObjective(target_rate=RANGE).draw() for _ in range(2000)])
    assert drawn.min() >= 0.3 and drawn.max() <= 0.9
    assert drawn.mean().item() == pytest.approx(0.3 + 0.6 / 3, abs=0.02)
    assert drawn.median().item() == pytest.approx(0.3 + 0.6 / 4, abs=0.02)


def test_a_fixed_rate_draws_nothing():
    before = torch.get_rng_state()
    assert DyTObjective(target_rate=0.4).draw() == 0.4
    assert torch.equal(before, torch.get_rng_state())
    assert not any("log_spread" in name for name in build(tiny_classifier()).state_dict())


@pytest.mark.parametrize("kind", [TokenDispatcher, SampleDispatcher])
def test_logits_of_training_move_by_the_spread_of_their_dispatcher(kind):
    model = ranged(kind.__name__)
    dispatchers = [layer.dispatcher["mlp"] for layer in dispatched_layers(model)]
    x = torch.randn(2, 5, dispatchers[0].proj.in_features)
    plain = [each(x)[1] for each in dispatchers]
    for index, each in enumerate(dispatchers):
        torch.nn.init.constant_(each.log_spread, float(index))
    offset = logit(0.8) - logit(0.6)
    with rate_offset(model, 0.8, 0.6):
        moved = [each(x)[1] for each in dispatchers]
        for index, (before, after) in enumerate(zip(plain, moved)):
            expected = before + torch.tensor(float(index)).exp() * offset
            torch.testing.assert_close(after, expected)
            assert dispatchers[index].eval()(x)[1].equal(before)  # inference has no offset
            dispatchers[index].train()
    sum(each.sum() for each in moved).backward()  # after the context, as training does
    assert all(each.log_spread.grad for each in dispatchers)
    for before, each in zip(plain, dispatchers):
        assert torch.equal(before, each(x)[1])


def test_spreads_train_and_set_the_budgets_shift(tmp_path):
    model = ranged()
    names = [name for name in model.state_dict() if "log_spread" in name]
    assert len(names) == len(dispatched_layers(model)) and set(names) <= set(trainable_names(model))
    torch.nn.init.constant_(model.get_parameter(names[0]), 1.0)
    mmdyt.save_adapter(model, tmp_path / "adapter.safetensors")
    saved = mmdyt.fileio.load_from_safetensors(str(tmp_path / "adapter.safetensors"))
    assert float(saved["state_dict"][names[0]]) == 1.0
    again = ranged()
    again.load_state_dict(model.state_dict())
    first, second = (layer.dispatcher["mlp"] for layer in dispatched_layers(again)[:2])
    assert (first.spread, second.spread) == (pytest.approx(torch.e), 1.0)
    images, _ = batch()
    again.eval()
    set_shift(again, 0.5)
    with torch.no_grad(), collect_dispatch(again) as records:
        again(images)
    for record, dispatcher in zip(records, (first, second)):
        active = record.logits + 0.5 * dispatcher.spread >= 0
        assert torch.equal(record.mask[:, 1:], active[:, 1:])


def test_a_range_loads_into_a_range_alone(tmp_path):
    """A training may begin at dispatchers of one rate, whose spreads are 1."""
    base = dict(type="Pretrained", checkpoint=str(tmp_path / "base.pth"))
    torch.save(build(tiny_classifier()).backbone.state_dict(), tmp_path / "base.pth")
    fixed, model = build(tiny_classifier(dict(init_cfg=base))), ranged(init_cfg=base)
    for each in (fixed, model):
        each.init_weights()
    with torch.no_grad():
        model.backbone.layers[0].dispatcher["mlp"].log_spread.fill_(0.5)
    mmdyt.save_adapter(model, tmp_path / "adapter.safetensors")
    again = mmdyt.load_adapter(tmp_path / "adapter.safetensors")
    spreads = [layer.dispatcher["mlp"].log_spread.item() for layer in dispatched_layers(again)]
    assert spreads == [0.5, 0.0, 0.0] and again.objective.target_rate == RANGE
    model.load_state_dict(fixed.state_dict())
    assert [layer.dispatcher["mlp"].spread for layer in dispatched_layers(model)] == [1.0] * 3
    with pytest.raises(ValueError, match=r"range of rates.*log_spread.*model\.dyt\.target_rate"):
        fixed.load_state_dict(model.state_dict())


def test_a_range_may_come_from_json():
    assert DyTObjective().updated(dict(target_rate=[0.3, 0.9])).target_rate == RANGE
    assert DyTObjective(target_rate=RANGE).middle == pytest.approx(0.6)


@pytest.mark.parametrize(
    "target, message",
    [
        ((0.9, 0.3), "the smaller first"),
        ((0.5, 0.5), "the smaller first"),
        ((0.3,), "the smaller first"),
        ((0.3, 0.5, 0.9), "the smaller first"),
        ((0.3, 1.0), r"must be a number in \(0, 1\), got 1.0"),
        ((0.3, "0.9"), "must be a number"),
        ("0.5", "must be a number"),
    ],
)
def test_bad_ranges_are_refused(target, message):
    with pytest.raises(ValueError, match=rf"model\.dyt\.target_rate.*{message}"):
        DyTObjective(target_rate=target)


def test_dispatchers_that_do_not_learn_are_refused():
    random = dict(dispatcher=dict(type="mmdyt.RandomDispatcher"))
    with pytest.raises(ValueError, match=r"range of rates.*TokenDispatcher.*not RandomDispatcher"):
        build(tiny_classifier(random, dyt=dict(target_rate=RANGE)))


def draw(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.manual_seed(rank)
    torch.save([DyTObjective(target_rate=RANGE).draw() for _ in range(3)], f"{folder}/{rank}.pth")
    dist.barrier()
    dist.destroy_process_group()


def test_all_processes_draw_the_same(tmp_path):
    mp.start_processes(draw, (str(tmp_path),), nprocs=2, start_method="fork")
    one, other = (torch.load(tmp_path / f"{rank}.pth") for rank in range(2))
    assert one == other and len(set(one)) == 3
