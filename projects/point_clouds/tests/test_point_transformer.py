"""Adapters, dispatch and DAPT on groups of points."""

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmdyt.evaluation import CostAccount
from mmdyt.models import BottleneckAdapter
from mmdyt.models.utils import collect_dispatch, merged
from projects.point_clouds import DAPTPointTransformer, DyTPointTransformer
from tests.conftest import PROJECTS, build
from tests.test_models.helpers import (
    both_executions,
    complete_and_plain,
    spread_dispatch,
    train_step,
)

CONFIGS = sorted((PROJECTS / "point_clouds/configs").glob("*.py"))
C, L, G, K, P, HIDDEN = 48, 3, 8, 6, 20, 64
ARCH = dict(embed_dims=C, num_layers=L, num_heads=4, feedforward_channels=HIDDEN)


def tiny(kind: str = "DyT", **overrides) -> dict:
    size = dict(arch=ARCH, num_groups=G, group_size=K)
    if kind == "DAPT":
        size["adapter"] = dict(type="mmdyt.DynamicAdapter", bottleneck_dims=4)
    return dict(type=f"mmdyt.{kind}PointTransformer", **size) | overrides


def classifier(kind: str = "DyT", **overrides) -> dict:
    backbone = tiny(kind, **overrides)
    width = (3 if kind == "DAPT" else 2) * C
    head = dict(
        type="StackedLinearClsHead",
        num_classes=10,
        in_channels=width,
        mid_channels=[16],
        norm_cfg=dict(type="BN1d"),
    )
    return dict(type="mmdyt.DyTImageClassifier", backbone=backbone, head=head)


def randomise(model: nn.Module) -> None:
    """Weights that matter where fresh ones add nothing, and dispatchers that differ."""
    for name, param in model.named_parameters():
        if "adapter" in name or "tfts" in name or "cls" in name:
            nn.init.normal_(param, std=0.5)
    spread_dispatch(model)


def test_dapt_has_the_published_parameters():
    """On ScanObjectNN: Point-MAE's width, rank 64, 128 groups of 32, 15 classes; 1.1 M."""
    backbone = DAPTPointTransformer(
        "deit-small",
        num_groups=128,
        dispatch=None,
        adapter=dict(type="mmdyt.DynamicAdapter", bottleneck_dims=64),
    )
    assert len(backbone.layers) == 12 and backbone.embed_dims == 384
    model = build(classifier())
    model = type(model)(
        backbone,
        head=dict(
            type="StackedLinearClsHead",
            num_classes=15,
            in_channels=backbone.num_features[-1],
            mid_channels=[256, 256],
            norm_cfg=dict(type="BN1d"),
        ),
    )
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained == 1_087_771
    # What the formula does not hold: the frozen encoder.
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    assert 21.5e6 < frozen < 22.1e6


def test_the_complete_model_is_the_plain_encoder():
    ours, plain = build(tiny()), build(tiny(dispatch=None, adapter=None))
    complete, expected, keys = complete_and_plain(ours, plain, torch.randn(2, P, 3))
    torch.testing.assert_close(complete, expected, atol=1e-4, rtol=1e-4)
    assert keys.missing_keys and not keys.unexpected_keys
    assert all(".adapter." in key or ".dispatcher." in key for key in keys.missing_keys)


@torch.no_grad()
def test_a_fresh_dapt_is_within_a_bound_of_the_frozen_encoder():
    """Each scale and shift deviates by 0.02, behind every operation."""
    plain, ours = build(tiny(dispatch=None, adapter=None)), build(tiny("DAPT", dispatch=None))
    ours.load_state_dict(plain.state_dict(), strict=False)
    points = torch.randn(4, P, 3)
    one, other = plain.eval()(points)[0], ours.eval()(points)[0]
    assert one.shape == (4, 2 * C) and other.shape == (4, 3 * C)
    without_prompts = torch.cat([other[:, :C], other[:, 2 * C :]], dim=1)
    assert 0.001 < (one - without_prompts).norm() / one.norm() < 0.3


@pytest.mark.parametrize("kind", ["DyT", "DAPT"])
def test_skipping_is_masking_and_prompts_are_not_counted(kind):
    model = build(tiny(kind, dispatch="mlp"))
    randomise(model)
    with collect_dispatch(model) as records:
        skipped, masked = both_executions(model, torch.randn(3, P, 3))
    torch.testing.assert_close(skipped, masked, atol=1e-5, rtol=1e-5)
    prefixes = [1, 2, 3] if kind == "DAPT" else [1, 1, 1]
    assert [(r.num_prefix, r.mask.shape[1]) for r in records[:L]] == [(n, n + G) for n in prefixes]
    assert all(r.mask[:, : r.num_prefix].all() for r in records)
    assert 0 < torch.stack([r.mask[:, r.num_prefix :].float().mean() for r in records]).mean() < 1


@pytest.mark.parametrize("variant", ["attn", "attn_mlp", "layer"])
def test_attention_among_groups_is_dispatched_too(variant):
    model = build(tiny(dispatch=variant))
    randomise(model)
    skipped, masked = both_executions(model, torch.randn(3, P, 3))
    torch.testing.assert_close(skipped, masked, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["DyT", "DAPT"])
def test_order_and_place_of_the_points_are_of_no_account(kind):
    model = build(tiny(kind, dispatch=None)).eval()
    randomise(model)
    points = torch.randn(2, P, 3)
    (expected,) = model(points)
    for other in (points[:, torch.randperm(P)], points + torch.randn(2, 1, 3)):
        torch.testing.assert_close(model(other)[0], expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(model(points * 2)[0], expected, atol=1e-2)


@torch.no_grad()
def test_the_feature_holds_class_token_prompts_and_maximum():
    model = build(tiny("DAPT", dispatch=None)).eval()
    randomise(model)
    seen = []
    model.ln1.register_forward_hook(lambda _m, _a, out: seen.append(out))
    (feature,) = model(torch.randn(2, P, 3))
    (tokens,) = seen
    assert tokens.shape == (2, 1 + L + G, C)
    expected = (tokens[:, 0], tokens[:, 1 : 1 + L].mean(1), tokens[:, 1 + L :].amax(1))
    torch.testing.assert_close(feature, torch.cat(expected, dim=1))


def test_what_trains_and_that_the_frozen_rest_stays():
    for kind in ("DyT", "DAPT"):
        model = build(classifier(kind, dispatch="mlp"))
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        train_step(model, torch.randn(8, P, 3))
        changed = {n for n, t in model.state_dict().items() if not torch.equal(t, before[n])}
        parts = (".adapter.", ".dispatcher.", "head.")
        if kind == "DAPT":
            parts += (".ssf.", ".tfts.", "backbone.cls_token", ".cls_position.shift")
        assert all(any(part in name for part in parts) for name in changed), changed
        assert all(any(part in name for name in changed) for part in parts)
        assert not any("patch_embed" in n and "running" in n for n in changed)


def test_batch_norms_of_the_tokenizer_learn_with_full_tuning():
    model = build(classifier(dispatch=None, adapter=None) | dict(tuning="full"))
    before = model.backbone.patch_embed.first[1].running_mean.clone()
    train_step(model, torch.randn(8, P, 3))
    assert not torch.equal(before, model.backbone.patch_embed.first[1].running_mean)


@torch.no_grad()
def test_scales_and_shifts_merge_into_the_tokenizer_too():
    model = build(classifier("DAPT", dispatch=None)).eval()
    randomise(model)
    small = merged(model)
    assert not any(".ssf." in name for name in small.state_dict())
    points = torch.randn(2, P, 3)
    torch.testing.assert_close(small(points), model(points), atol=1e-4, rtol=1e-4)


def test_the_cost_account_counts_every_new_operation():
    """Distances, convolutions, batch norms and layers, by hand."""
    model = build(tiny(dispatch=None, adapter=None))
    third, members = C // 3, G * K
    distances = 2 * G * P * 3  # of farthest points, of neighbours
    maps = 3 * third + 2 * third**2 + 16 * third**2 + 4 * third * C
    norms = 2 * (third + 4 * third)  # two operations an element
    position = G * (3 * 128 + 128 * C)
    tokens = 1 + G
    layer = tokens * (4 * C**2 + 2 * C * HIDDEN + 2 * 5 * C) + 2 * C * tokens**2
    expected = distances + members * (maps + norms) + position + L * layer + tokens * 5 * C
    assert CostAccount(model).dense_flops(torch.randn(1, P, 3)) == expected


def test_a_skipped_token_saves_its_mlp():
    model = build(tiny(dispatch="mlp")).eval()
    randomise(model)
    account, points = CostAccount(model), torch.randn(3, P, 3)
    with torch.no_grad(), collect_dispatch(model) as records:
        model(points)
    skipped = sum((~r.mask).sum(dim=1) for r in records)
    mlp = 2 * C * HIDDEN + 5 * C
    full = account.flops_at_rate(points, 1.0)
    assert account.flops(records, points).tolist() == (full - mlp * skipped).tolist()
    assert full - account.dense_flops(points) == L * (1 + G) * C  # the dispatchers


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_takes_a_training_step(path):
    cfg = Config.fromfile(path)
    cfg.model.backbone.init_cfg = None
    assert cfg.train_dataloader.drop_last  # the head's batch norms refuse a batch of one
    model = build(cfg.model)
    assert cfg.model.head.in_channels == model.backbone.num_features[-1]
    assert cfg.model.head.num_classes == len(cfg.train_dataloader.dataset.digits)
    model.init_weights()
    assert train_step(model, torch.rand(4, 96, 3))["loss"] > 0


BAD = [
    (dict(window_size=2), r"backbone\.window_size has no meaning for points; beside .*'init_cfg'"),
    (dict(img_size=8), r"backbone\.img_size has no meaning for points"),
    (dict(num_groups=0), r"backbone\.num_groups must be an integer in \[1, inf\), got 0"),
    (dict(group_size=0), r"backbone\.group_size must be an integer in \[1, inf\), got 0"),
    (dict(arch=ARCH | dict(embed_dims=32)), r"embed_dims must be a multiple of 3, got 32"),
    (
        dict(adapter=dict(type="mmdyt.InputConditionedAdapter")),
        r"'DyTPointTransformer' keeps no single patch grid",
    ),
]


def test_bad_input_names_value_choices_and_key(subtests):
    for changes, message in BAD:
        with subtests.test(message), pytest.raises(ValueError, match=message):
            build(tiny(**changes))
    with pytest.raises(ValueError, match=r"backbone\.dispatch='attn' is not supported by DAPT"):
        build(tiny("DAPT", dispatch="attn"))
    with pytest.raises(ValueError, match=r"backbone\.adapter=None leaves nothing"):
        build(tiny("DAPT", adapter=None))
    model = DyTPointTransformer(ARCH, num_groups=G, group_size=K)
    assert isinstance(model.layers[0].adapter["mlp"], BottleneckAdapter)
    with pytest.raises(ValueError, match=r"backbone\.num_groups=8 is more than a cloud .* 7"):
        model(torch.randn(1, 7, 3))
