"""Swin Transformer with MLP dispatch."""

import pytest
import torch
from torch import nn

from mmdyt.models import DyTSwinTransformer
from mmdyt.models.utils import collect_dispatch, trainable_names
from tests.conftest import build, randomise_adapters
from tests.test_models.helpers import (
    both_executions,
    complete_and_plain,
    spread_dispatch,
    train_step,
)

ARCH = dict(embed_dims=16, depths=[2, 2], num_heads=[2, 4])
SWIN = dict(arch=ARCH, img_size=56, patch_size=4, window_size=7, out_indices=(1,))


def tiny_swin(**overrides) -> nn.Module:
    """Two stages of two blocks: 14 x 14 tokens, 16 wide; 7 x 7, 32 wide."""
    return build(dict(type="mmdyt.DyTSwinTransformer", **SWIN) | overrides)


def tiny_swin_classifier(**overrides) -> nn.Module:
    return build(
        dict(
            type="mmdyt.DyTImageClassifier",
            backbone=dict(type="mmdyt.DyTSwinTransformer", **SWIN) | overrides,
            neck=dict(type="mmpretrain.GlobalAveragePooling"),
            head=dict(type="mmpretrain.LinearClsHead", num_classes=10, in_channels=32),
            dyt=dict(target_rate=0.5),
        )
    )


def only_ours(keys: list[str]) -> bool:
    return bool(keys) and all(".adapter." in key or ".dispatcher." in key for key in keys)


def test_complete_swin_equals_the_plain_one():
    plain = build(dict(type="mmpretrain.SwinTransformer", **SWIN))
    complete, expected, keys = complete_and_plain(tiny_swin(), plain, torch.randn(2, 3, 56, 56))
    torch.testing.assert_close(complete, expected, atol=1e-5, rtol=1e-5)
    assert only_ours(keys.missing_keys) and not keys.unexpected_keys


def test_without_adapter_and_dispatch_it_is_the_plain_swin():
    plain = build(dict(type="mmpretrain.SwinTransformer", **SWIN))
    own = tiny_swin(dispatch=None, adapter=None)
    own.load_state_dict(plain.state_dict())
    x = torch.randn(1, 3, 56, 56)
    with torch.no_grad():
        own.eval(), plain.eval()
        torch.testing.assert_close(own(x)[0], plain(x)[0])


def test_checkpoints_with_old_names_load():
    state = build(dict(type="mmpretrain.SwinTransformer", **SWIN)).state_dict()
    nn.init.normal_(state["norm1.weight"])
    expected = state["norm1.weight"].clone()
    old = {
        key.replace("norm1.", "norm.") if key.startswith("norm1.") else key: value
        for key, value in state.items()
    }
    old["stages.0.blocks.1.attn.attn_mask"] = torch.zeros(4, 49, 49)
    own = tiny_swin()
    keys = own.load_state_dict(old, strict=False)
    assert only_ours(keys.missing_keys) and not keys.unexpected_keys
    assert torch.equal(own.norm1.weight, expected)


@pytest.mark.parametrize("batch", [1, 3])
def test_skipping_equals_masking(batch):
    backbone = tiny_swin()
    randomise_adapters(backbone)
    spread_dispatch(backbone)
    skipped, masked = both_executions(backbone, torch.randn(batch, 3, 56, 56))
    torch.testing.assert_close(skipped, masked, atol=1e-5, rtol=1e-5)


def test_blocks_are_counted_over_the_stages():
    backbone = tiny_swin(num_dense_layers=1)
    backbone.eval()
    with collect_dispatch(backbone) as records, torch.no_grad():
        backbone(torch.randn(2, 3, 56, 56))
    assert [(r.layer, r.branch, r.mask.shape, r.num_prefix) for r in records] == [
        (1, "mlp", (2, 196), 0),
        (2, "mlp", (2, 49), 0),
        (3, "mlp", (2, 49), 0),
    ]
    with pytest.raises(ValueError, match=r"backbone.num_dense_layers .*\[0, 3\], got 4"):
        tiny_swin(num_dense_layers=4)


@pytest.mark.parametrize("dispatch", ["attn", "attn_mlp", "layer"])
def test_variants_that_break_windows_are_refused_with_the_supported_list(dispatch):
    with pytest.raises(ValueError, match=rf"{dispatch}.*DyTSwinBlock.*\['mlp', None\]"):
        tiny_swin(dispatch=dispatch)


def test_a_checkpoint_of_another_width_is_refused():
    wide = SWIN | dict(arch=ARCH | dict(embed_dims=32))
    other = build(dict(type="mmpretrain.SwinTransformer", **wide)).state_dict()
    with pytest.raises(ValueError, match="does not fit DyTSwinTransformer"):
        tiny_swin().load_state_dict(other, strict=False)


def test_one_step_moves_adapters_dispatchers_and_head_only():
    model = tiny_swin_classifier()
    before = {name: param.clone() for name, param in model.named_parameters()}
    losses = train_step(model, torch.randn(4, 3, 56, 56))
    assert losses["loss"] > 0
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert moved <= set(trainable_names(model))
    for part in (".adapter.mlp.up", ".dispatcher.mlp.proj", "head."):
        assert any(part in name for name in moved), part


def test_checkpointing_gives_the_same_gradients():
    """In the complete and the dynamic pass; decisions are taken only once."""

    def gradients(with_cp: bool) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        model = tiny_swin_classifier(with_cp=with_cp, drop_path_rate=0.0)
        randomise_adapters(model)
        torch.manual_seed(1)
        train_step(model, torch.randn(2, 3, 56, 56))
        return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}

    plain, recomputed = gradients(False), gradients(True)
    assert plain.keys() == recomputed.keys()
    for name, grad in plain.items():
        torch.testing.assert_close(recomputed[name], grad, atol=1e-6, rtol=1e-4)


def test_swin_base_adds_the_papers_parameters():
    """1.55 M with d = 64; the dispatchers' 12 thousand are not counted there."""
    backbone = DyTSwinTransformer(arch="base")
    adapters = [p.numel() for n, p in backbone.named_parameters() if ".adapter." in n]
    assert sum(adapters) / 1e6 == pytest.approx(1.55, abs=0.005)
