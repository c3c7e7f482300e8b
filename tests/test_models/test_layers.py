"""The layer protocol: adoption in place, records, refusals."""

import pytest
import torch
from mmpretrain.models.backbones.deit3 import DeiT3TransformerEncoderLayer
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer

from mmdyt.models.layers import VARIANTS, DyTEncoderLayer, rules
from mmdyt.models.utils import collect_dispatch, dispatch_mode
from tests.conftest import randomise_adapters
from tests.test_models.helpers import fix_dispatch

SHAPE = dict(embed_dims=32, num_heads=4, feedforward_channels=64)
DISPATCH = dict(
    adapter=dict(type="mmdyt.BottleneckAdapter"),
    dispatcher=dict(type="mmdyt.TokenDispatcher"),
    index=3,
    num_prefix=2,
)


@pytest.mark.parametrize("variant", list(VARIANTS))
@torch.no_grad()
def test_a_layer_is_adopted_in_place_and_computes_the_same(variant):
    plain = TransformerEncoderLayer(**SHAPE).eval()
    keys = set(plain.state_dict())
    x = torch.randn(2, 7, 32)
    expected = plain(x)
    layer = DyTEncoderLayer.from_layer(plain, dispatch=variant, **DISPATCH)
    assert layer is plain
    assert all(
        key in keys or key.startswith(("adapter.", "dispatcher.")) for key in layer.state_dict()
    )
    with dispatch_mode(layer.eval(), "complete"):
        torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v])
def test_records_say_where_and_what(variant):
    layer = DyTEncoderLayer(**SHAPE, dispatch=variant, **DISPATCH).eval()
    with collect_dispatch(layer) as records, torch.no_grad():
        layer(torch.randn(2, 7, 32))
    assert tuple(record.branch for record in records) == VARIANTS[variant].dispatched
    for record in records:
        assert (record.layer, record.num_prefix) == (3, 2)
        assert record.mask.shape == record.logits.shape == (2, 7)
        assert record.mask[:, :2].all()
        assert (record.mode, record.padded, record.module) == ("dynamic", False, "")
        torch.testing.assert_close(record.rate(), record.mask[:, 2:].float().mean(1))


def test_plain_adapter_tuning_has_no_records():
    layer = DyTEncoderLayer(**SHAPE, dispatch=None, **DISPATCH).eval()
    with collect_dispatch(layer) as records:
        layer(torch.randn(2, 7, 32))
    assert records == [] and list(layer.adapter) == ["mlp"]


def test_masks_have_a_gradient_in_training_and_are_booleans_in_evaluation():
    layer = DyTEncoderLayer(**SHAPE, **DISPATCH)
    for training in (True, False):
        with collect_dispatch(layer) as records:
            layer.train(training)(torch.randn(2, 7, 32))
        assert records[0].mask.requires_grad is training
        assert (records[0].mask.dtype == torch.bool) is not training


@pytest.mark.parametrize("variant", ["attn", "mlp", "attn_mlp", "layer"])
def test_variants_run_under_autocast(variant):
    layer = DyTEncoderLayer(**SHAPE, dispatch=variant, **DISPATCH).eval()
    x = torch.randn(2, 40, 32)
    with torch.no_grad():
        expected = layer(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = layer(x)
    torch.testing.assert_close(out.float(), expected, atol=0.15, rtol=0.1)


def test_an_unknown_variant_is_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"backbone.dispatch='ffn' .*'attn_mlp', 'layer'"):
        DyTEncoderLayer(**SHAPE, dispatch="ffn")


def test_dispatch_needs_a_dispatcher():
    with pytest.raises(ValueError, match=r"needs backbone\.dispatcher"):
        DyTEncoderLayer(**SHAPE, dispatch="mlp", dispatcher=None)


def test_only_a_layer_of_the_hosts_own_class_is_adopted():
    """DeiT III's layer is a subclass of it, and computes something else."""
    for layer in (DeiT3TransformerEncoderLayer(**SHAPE), torch.nn.Identity()):
        before = type(layer)
        with pytest.raises(
            TypeError, match=f"adopts TransformerEncoderLayer, not {before.__name__}"
        ):
            DyTEncoderLayer.from_layer(layer, dispatch="mlp", **DISPATCH)
        assert type(layer) is before


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v])
@pytest.mark.parametrize("num_prefix", [0, 2])
@torch.no_grad()
def test_a_branch_that_nothing_needs_runs_on_the_prefix_only(variant, num_prefix):
    layer = DyTEncoderLayer(**SHAPE, **DISPATCH | dict(num_prefix=num_prefix), dispatch=variant)
    randomise_adapters(layer)
    fix_dispatch(layer.eval(), torch.zeros(2, 7, dtype=torch.bool))
    x = torch.randn(2, 7, 32)
    before, expected = x.clone(), layer(x)
    layer.fixed_rules |= dict.fromkeys(layer.variant.dispatched, rules.prefix_only)
    layer.dispatcher.clear()
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(x, before)
