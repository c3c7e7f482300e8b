"""DyTViT is mmpretrain's VisionTransformer plus adapters and dispatchers."""

import pytest
import torch

from mmdyt.models.utils import collect_dispatch, dispatch_mode, trainable_names
from tests.conftest import TINY_ARCH, build, randomise_adapters, tiny_backbone, tiny_classifier

VARIANTS = ["mlp", "attn", "attn_mlp", "layer", None]


def plain_vit(**overrides):
    model = build(
        dict(type="VisionTransformer", arch=TINY_ARCH, img_size=28, patch_size=4) | overrides
    )
    model.init_weights()
    torch.nn.init.normal_(model.cls_token)
    model.eval()
    return model


@pytest.mark.parametrize("dispatch", VARIANTS)
def test_complete_mode_at_init_is_the_plain_vit(dispatch):
    plain = plain_vit()
    model = build(tiny_backbone(dispatch=dispatch))
    model.init_weights()
    model.load_state_dict(plain.state_dict(), strict=False)
    model.eval()
    images = torch.randn(3, 3, 28, 28)
    with dispatch_mode(model, "complete"):
        torch.testing.assert_close(model(images)[-1], plain(images)[-1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("dispatch", VARIANTS)
def test_plain_checkpoint_lacks_only_what_dyt_adds(dispatch):
    result = build(tiny_backbone(dispatch=dispatch)).load_state_dict(
        plain_vit().state_dict(), strict=False
    )
    assert result.unexpected_keys == []
    assert result.missing_keys
    assert all(".adapter." in key or ".dispatcher." in key for key in result.missing_keys)


def test_without_adapter_and_dispatch_it_is_the_plain_vit():
    model = build(tiny_backbone(dispatch=None, adapter=None))
    assert model.load_state_dict(plain_vit().state_dict(), strict=True)


@pytest.mark.parametrize("bias", [-50.0, 0.0, 50.0], ids=["none", "some", "all"])
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("dispatch", VARIANTS)
def test_masked_and_skipping_execution_agree(dispatch, batch, bias):
    model = build(tiny_backbone(dispatch=dispatch))
    randomise_adapters(model)
    for name, param in model.named_parameters():
        if name.endswith("proj.bias") and "dispatcher" in name:
            torch.nn.init.constant_(param, bias)
    model.eval()
    images = torch.randn(batch, 3, 28, 28)
    with torch.no_grad(), collect_dispatch(model) as skipped:
        skipping = model(images)[-1]
    with torch.no_grad(), dispatch_mode(model, "masked"), collect_dispatch(model) as kept:
        masked = model(images)[-1]
    torch.testing.assert_close(skipping, masked, atol=1e-5, rtol=1e-5)
    for one, other in zip(skipped, kept):
        assert torch.equal(one.mask, other.mask)
        assert one.mask[:, 0].all(), "the class token is always active"
        if bias:
            assert one.rate().eq(float(bias > 0)).all()


def test_trainable_set_is_adapters_dispatchers_head():
    for init_cfg in (None, dict(type="Constant", val=1.0, layer="Linear")):
        model = build(tiny_classifier(init_cfg=init_cfg))
        model.init_weights()
        expected = [
            name
            for name, _ in model.named_parameters()
            if ".adapter." in name or ".dispatcher." in name or name.startswith("head.")
        ]
        assert trainable_names(model) == expected
        assert len(expected) == 3 * (4 + 2) + 2  # 3 layers, the head


@pytest.mark.parametrize(
    "tuning, selected",
    [("linear", lambda name: name.startswith("head.")), ("full", lambda name: True)],
)
def test_other_tunings(tuning, selected):
    model = build(tiny_classifier(dict(dispatch=None, adapter=None), tuning=tuning))
    names = [name for name, _ in model.named_parameters()]
    assert trainable_names(model) == [name for name in names if selected(name)]


def test_a_parents_init_cfg_does_not_undo_the_zero_start():
    model = build(tiny_classifier(init_cfg=dict(type="Constant", val=1.0, layer="Linear")))
    model.init_weights()
    for name, param in model.named_parameters():
        if ".adapter." in name and ".up." in name:
            assert not param.any()


def test_strict_reload_gives_the_same_logits():
    first, second = build(tiny_classifier()), build(tiny_classifier())
    randomise_adapters(first)
    second.load_state_dict(first.state_dict(), strict=True)
    first.eval(), second.eval()
    images = torch.randn(2, 3, 28, 28)
    assert torch.equal(first(images), second(images))


def test_first_layers_can_stay_dense():
    model = build(tiny_backbone(num_dense_layers=2))
    model.eval()
    with collect_dispatch(model) as records:
        model(torch.randn(1, 3, 28, 28))
    assert [record.layer for record in records] == [2]
    assert all("mlp" in layer.adapter for layer in model.layers)


def test_frozen_stages_and_layer_wise_decay_survive():
    model = build(tiny_backbone(frozen_stages=1))
    assert not model.layers[0].ln1.weight.requires_grad
    assert model.layers[1].ln1.weight.requires_grad
    depth, total = model.get_layer_depth("layers.1.adapter.mlp.up.weight")
    assert (depth, total) == (2, 5)


@pytest.mark.parametrize(
    "overrides, told",
    [
        (dict(dispatch="mpl"), r"dispatch='mpl'.*'mlp'"),
        (dict(dispatcher=dict(type="mmdyt.TokenDispatcher", tau=-1.0)), r"tau.*-1\.0"),
        (dict(dispatcher=dict(type="mmdyt.TokenDispatcher", threshold=1.5)), r"threshold.*1\.5"),
        (dict(adapter=dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=0)), r"_dims.*0"),
        (dict(dispatcher=None), r"dispatcher.*None"),
        (dict(img_size=30), r"img_size=\(30, 30\).*patch_size=\(4, 4\)"),
        (dict(num_dense_layers=3), r"num_dense_layers.*\[0, 2\].*3"),
    ],
)
def test_bad_settings_are_refused_at_build(overrides, told):
    with pytest.raises(ValueError, match=told):
        build(tiny_backbone(**overrides))


def test_checkpoint_of_another_width_is_refused(tmp_path):
    other = plain_vit(arch=dict(TINY_ARCH, embed_dims=64))
    torch.save(other.state_dict(), tmp_path / "wide.pth")
    init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "wide.pth"))
    with pytest.raises(ValueError, match=r"64.*the model has.*32"):
        build(tiny_backbone(init_cfg=init_cfg)).init_weights()


def test_checkpoint_of_another_image_size_is_resized(tmp_path):
    torch.save(plain_vit(img_size=56).state_dict(), tmp_path / "large.pth")
    init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "large.pth"))
    model = build(tiny_backbone(init_cfg=init_cfg))
    model.init_weights()
    assert model.pos_embed.shape == (1, 50, 32)


def test_modes_and_collectors_reset_after_an_error():
    model = build(tiny_backbone())
    with pytest.raises(RuntimeError), dispatch_mode(model, "complete"), collect_dispatch(model):
        raise RuntimeError
    assert all(layer.dispatch_mode == "dynamic" and not layer.collectors for layer in model.layers)
    with pytest.raises(ValueError, match=r"'sparse'.*'dynamic', 'complete', 'masked'"):
        dispatch_mode(model, "sparse").__enter__()


def test_evaluation_and_training_return_the_module():
    """mmpretrain's own backbones return None."""
    for module in (build(tiny_backbone()), build(tiny_classifier())):
        assert module.eval() is module and not module.training
        assert module.train() is module and module.training


def test_collectors_nest_and_append_every_pass():
    model = build(tiny_backbone())
    model.eval()
    images = torch.randn(1, 3, 28, 28)
    with collect_dispatch(model) as outer:
        model(images)
        with collect_dispatch(model) as inner:
            model(images)
    assert (len(outer), len(inner)) == (6, 3)
