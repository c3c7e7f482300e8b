"""One block for the ViT families of mmpretrain, as they come pre-trained."""

import pytest
import torch

from mmdyt.models import DyTViT
from tests.conftest import TINY_ARCH, build, randomise_adapters, tiny_classifier
from tests.test_models.helpers import (
    both_executions,
    complete_and_plain,
    spread_dispatch,
    train_step,
)

VIT = dict(arch=TINY_ARCH, img_size=28, patch_size=4)
FAMILIES = {
    "AugReg ViT": dict(),
    "DINOv2": dict(layer_scale_init_value=1e-5),
    "DINOv2 giant": dict(layer_scale_init_value=1e-5, layer_cfgs=dict(ffn_type="swiglu_fused")),
    "CLIP": dict(
        pre_norm=True,
        norm_cfg=dict(type="LN", eps=1e-5),
        layer_cfgs=dict(act_cfg=dict(type="mmpretrain.QuickGELU")),
    ),
    "MAE": dict(out_type="avg_featmap", final_norm=False),
    "no class token": dict(with_cls_token=False, out_type="avg_featmap"),
}
family = pytest.mark.parametrize("settings", FAMILIES.values(), ids=FAMILIES.keys())


@family
@pytest.mark.parametrize("dispatch", ["mlp", "layer"])
def test_complete_model_equals_the_pretrained_one(settings, dispatch):
    plain = build(dict(type="mmpretrain.VisionTransformer", **VIT, **settings))
    own = build(dict(type="mmdyt.DyTViT", dispatch=dispatch, **VIT, **settings))
    complete, expected, keys = complete_and_plain(own, plain, torch.randn(2, 3, 28, 28))
    torch.testing.assert_close(complete, expected, atol=1e-5, rtol=1e-5)
    assert keys.missing_keys and not keys.unexpected_keys
    assert all(".adapter." in key or ".dispatcher." in key for key in keys.missing_keys)


@family
@pytest.mark.parametrize("dispatch", ["attn", "mlp", "attn_mlp", "layer"])
def test_skipping_equals_masking(settings, dispatch):
    own = build(dict(type="mmdyt.DyTViT", dispatch=dispatch, **VIT, **settings))
    for name, param in own.named_parameters():
        if "gamma" in name:  # layer scales that would hide a difference
            torch.nn.init.normal_(param)
    randomise_adapters(own)
    spread_dispatch(own)
    skipped, masked = both_executions(own, torch.randn(3, 3, 28, 28))
    torch.testing.assert_close(skipped, masked, atol=1e-5, rtol=1e-5)


@family
def test_one_training_step(settings):
    model = build(tiny_classifier(backbone=settings))
    losses = train_step(model, torch.randn(4, 3, 28, 28))
    assert losses["loss"] > 0 and 0 < losses["activation_rate"] < 1


@pytest.mark.parametrize(
    "arch, layers, adapters",
    [("deit-small", 12, 0.60), ("base", 12, 1.19), ("large", 24, 3.17), ("dinov2-giant", 40, 7.93)],
)
def test_published_sizes_build_with_the_papers_parameters(arch, layers, adapters):
    """On the meta device; ViT-S is mmpretrain's 'deit-small'. d = 64, in millions."""
    with torch.device("meta"):
        backbone = DyTViT(arch=arch)
    count = sum(p.numel() for n, p in backbone.named_parameters() if ".adapter." in n)
    assert len(backbone.layers) == layers
    assert count / 1e6 == pytest.approx(adapters, abs=0.01)
