"""One call from a model of mmpretrain to a DyT classifier."""

import pytest
import torch
from mmengine.config import Config
from mmpretrain import get_model
from mmpretrain.models import ImageClassifier

import mmdyt
from mmdyt.models.utils import dispatch_mode, trainable_names
from tests.conftest import CONFIGS, TINY_ARCH, build, randomise_adapters
from tests.test_models.helpers import train_step

NORMALISED = dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)
VIT = dict(type="VisionTransformer", arch=TINY_ARCH, img_size=28, patch_size=4)
SWIN = dict(
    type="SwinTransformer",
    arch=dict(embed_dims=16, depths=[1, 2], num_heads=[2, 4]),
    img_size=28,
    patch_size=2,
    out_indices=(1,),
)
POOL = dict(type="GlobalAveragePooling")


def plain(backbone: dict, neck: dict | None = None, **head) -> ImageClassifier:
    """A built classifier with random weights everywhere."""
    head = dict(type="LinearClsHead", num_classes=5, in_channels=32) | head
    config = dict(type="ImageClassifier", backbone=dict(backbone), neck=neck, head=head)
    model = build(dict(config, data_preprocessor=dict(NORMALISED)))
    for param in model.parameters():
        torch.nn.init.normal_(param, std=0.2)
    return model.eval()


def scores(model, images) -> torch.Tensor:
    with torch.no_grad(), dispatch_mode(model.eval(), "complete"):
        return model(images)


BUILT = {
    "vit": (VIT, {}),
    "vit, options": (VIT | dict(layer_scale_init_value=0.1, qkv_bias=False, pre_norm=True), {}),
    "vit, mean of the patches": (VIT | dict(out_type="avg_featmap", with_cls_token=False), {}),
    "vit, its own head": (VIT, dict(type="VisionTransformerClsHead", hidden_dim=16)),
    "swin": (SWIN, dict(neck=POOL)),
}


def test_a_built_model_keeps_its_weights(subtests):
    images = torch.randn(2, 3, 28, 28)
    for name, (backbone, parts) in BUILT.items():
        with subtests.test(name):
            source = plain(backbone, **parts)
            model = mmdyt.dynamic_tuning(source, target_rate=0.7)
            torch.testing.assert_close(scores(model, images), source(images), atol=1e-5, rtol=1e-5)
            assert torch.equal(model.data_preprocessor.mean, source.data_preprocessor.mean)
            assert model.objective.target_rate == 0.7
            assert 0 < train_step(mmdyt.dynamic_tuning(source, 10), images)["activation_rate"] < 1


def test_a_new_head_stands_on_the_same_backbone(capsys):
    source = plain(VIT, type="VisionTransformerClsHead", hidden_dim=16)
    model = mmdyt.dynamic_tuning(source, num_classes=3, dispatch="layer", num_dense_layers=1)
    assert type(model.head).__name__ == "LinearClsHead" and model.head.fc.out_features == 3
    assert model.backbone.dispatch == "layer" and model.data_preprocessor.num_classes == 3
    assert all("layers." in name or name.startswith("head.") for name in trainable_names(model))
    images = torch.randn(1, 3, 28, 28)
    features = source.extract_feat(images)[-1]
    with torch.no_grad(), dispatch_mode(model.eval(), "complete"):
        torch.testing.assert_close(model.extract_feat(images)[-1], features, atol=1e-5, rtol=1e-5)
    model.print_trainable_parameters()
    total = sum(param.numel() for param in model.parameters())
    assert f"|| all params: {total:,} ||" in capsys.readouterr().out


def test_what_cannot_be_read_back_is_refused_and_a_config_helps():
    """An activation leaves no attribute: the features would be others."""
    backbone = VIT | dict(layer_cfgs=dict(act_cfg=dict(type="ReLU")))
    with pytest.raises(ValueError, match=r"arguments that cannot be read from it.*give its config"):
        mmdyt.dynamic_tuning(plain(backbone))
    model = dict(type="ImageClassifier", backbone=backbone)
    model["head"] = dict(type="LinearClsHead", num_classes=5, in_channels=32)
    source = get_model(Config(dict(model=model, data_preprocessor=NORMALISED)))
    copy = mmdyt.dynamic_tuning(source)
    images = torch.randn(1, 3, 28, 28)
    torch.testing.assert_close(scores(copy, images), source(images), atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match=r"model\.neck=ClsBatchNormNeck cannot be read"):
        mmdyt.dynamic_tuning(plain(VIT, dict(type="ClsBatchNormNeck", input_features=32)))


def test_names_configs_and_weights_of_the_zoo(tmp_path):
    with pytest.warns(UserWarning, match="are random: give pretrained=True"):
        model = mmdyt.dynamic_tuning("deit-tiny_4xb256_in1k", num_classes=7)
    assert model.head.fc.weight.shape == (7, 192) and model.data_preprocessor.num_classes == 7
    assert model.test_pipeline[-1] == dict(type="PackInputs")
    assert model.data_preprocessor.mean.flatten().tolist() == pytest.approx(
        [123.675, 116.28, 103.53]
    )
    # A checkpoint of the plain classifier: the backbone, and its head where that is kept.
    source = get_model("deit-tiny_4xb256_in1k")
    torch.save(dict(state_dict=source.state_dict()), file := tmp_path / "deit.pth")
    kept = mmdyt.dynamic_tuning("deit-tiny_4xb256_in1k", pretrained=str(file))
    images = torch.randn(1, 3, 224, 224)
    torch.testing.assert_close(scores(kept, images), source(images), atol=1e-4, rtol=1e-4)
    tuned = mmdyt.dynamic_tuning("deit-tiny_4xb256_in1k", 7, pretrained=file)
    randomise_adapters(tuned)
    mmdyt.save_adapter(tuned, tmp_path / "adapter.safetensors")
    again = mmdyt.load_adapter(tmp_path / "adapter.safetensors")
    assert torch.equal(scores(again, images), scores(tuned, images))
    assert again.test_pipeline == tuned.test_pipeline


def test_configs_of_runs_are_taken_too():
    path = CONFIGS / "image/digits/vit-mini_dyt-fixed_digits.py"
    model = mmdyt.dynamic_tuning(path, num_classes=4, target_rate=0.3, adapter=None)
    assert model.objective.target_rate == 0.3 and model.head.fc.out_features == 4
    assert model.backbone.is_filled and not model.backbone.layers[0].adapter
    model = mmdyt.dynamic_tuning(Config.fromfile(path), dispatch=None)
    assert model.head.fc.out_features == 10 and not model.backbone.layers[0].dispatcher


WRONG = [
    ("vit-base-p16", ValueError, "no model of mmpretrain.*did you mean.*vit-base-p16_"),
    ("vit-bose-p16", ValueError, r"'vit-bose-p16' is no model of mmpretrain.*did you mean"),
    ("resnet50_8xb32_in1k", ValueError, "type 'ResNet'.*VisionTransformer.*docs/extending.md"),
    ("mae_vit-base-p16_8xb512-amp-coslr-300e_in1k", ValueError, "is a 'MAE'; supported are"),
    ("vit-base-p14_dinov2-pre_3rdparty", ValueError, "has no head: give num_classes"),
    ("vit_base_patch16_224", ValueError, "did you mean one of .*vit-base-p16_"),
    ("adapter.safetensors", ValueError, "file of weights: mmdyt.load_adapter takes"),
    ("vit.pth", ValueError, "vit.pth is a file of weights: name its model, and give it as pretr"),
    ({}, ValueError, "the model has no backbone"),
    (torch.nn.Linear(1, 1), TypeError, "must be an ImageClassifier of mmpretrain, got Linear"),
    (3, TypeError, "must be a name of mmpretrain, a config or a built ImageClassifier, got int"),
]


def test_unsupported_sources_are_refused_by_name(subtests):
    for source, error, told in WRONG:
        with subtests.test(str(source)), pytest.raises(error, match=told):
            mmdyt.dynamic_tuning(source)
    for options, told in (
        (dict(num_classes=0), r"num_classes must be an integer in \[1, inf\), got 0"),
        (dict(dispatch="mpl"), r"backbone\.dispatch='mpl' is not supported.*'mlp'"),
        (dict(target_rate=2), r"target_rate must be a number in \(0, 1\], got 2"),
        (dict(dyt=dict(rate=1)), r"model\.dyt\.rate is unknown; choose among"),
        (dict(pretrained=True), "names no weights"),
        (dict(image_size=28), "image_size is unknown to DyTViT; did you mean .*img_size"),
        (dict(adapter="mmdyt.BottleneckAdapter"), "adapter must be a dict, as"),
        (dict(adapter=dict(bottleneck_dims=8)), "adapter must be a dict, as"),
        (
            dict(adapter=dict(type="BottleneckAdapter")),
            "type='BottleneckAdapter' is not registered; did you mean mmdyt.BottleneckAdapter",
        ),
        (
            dict(dispatcher=dict(type="mmdyt.TokenDispatcher", tao=1)),
            r"dispatcher\.tao is unknown; did you mean dispatcher\.tau",
        ),
    ):
        with subtests.test(str(options)), pytest.raises(ValueError, match=told):
            mmdyt.dynamic_tuning(plain(VIT), **options)


def test_a_tuned_model_is_tuned_on_or_refused():
    """What it has learned is kept where it fits; other adapters need the plain model."""
    adapter = dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=4, scale=1.0)
    dispatcher = dict(type="mmdyt.TokenDispatcher", tau=2.0)
    tuned = mmdyt.dynamic_tuning(plain(VIT), adapter=adapter, dispatcher=dispatcher)
    randomise_adapters(tuned)
    again = mmdyt.dynamic_tuning(tuned, target_rate=0.3)
    images = torch.randn(1, 3, 28, 28)
    assert torch.equal(scores(again, images), scores(tuned, images))
    assert again.objective.target_rate == 0.3 and tuned.objective.target_rate == 0.5
    with pytest.raises(ValueError, match=r"has adapters and dispatchers of its own.*plain model"):
        mmdyt.dynamic_tuning(tuned, dispatch="attn")


def test_batch_augmentation_of_the_source_is_left_out():
    """mmpretrain moves it from train_cfg into the preprocessor of a model that it builds."""
    model = dict(type="ImageClassifier", backbone=dict(VIT))
    model["head"] = dict(type="LinearClsHead", num_classes=5, in_channels=32)
    model["train_cfg"] = dict(augments=dict(type="Mixup", alpha=0.8))
    source = get_model(Config(dict(model=model, data_preprocessor=dict(NORMALISED))))
    assert source.data_preprocessor.batch_augments is not None
    assert mmdyt.dynamic_tuning(source, 3).data_preprocessor.batch_augments is None
    assert source._config.model.data_preprocessor.batch_augments is not None  # the source's own


def test_weights_that_cannot_be_had_are_named(monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("no route")

    monkeypatch.setattr("mmengine.runner.checkpoint.load_from_http", offline)
    monkeypatch.setattr("mmengine.runner.checkpoint.load_url", offline)
    with pytest.raises(OSError, match=r"the weights at https://.*deit-tiny.*no route.*PATH"):
        mmdyt.dynamic_tuning("deit-tiny_4xb256_in1k", 3, pretrained=True)


def test_the_target_is_given_once():
    with pytest.raises(ValueError, match="give target_rate itself, not as a field of dyt"):
        mmdyt.dynamic_tuning("deit-tiny_4xb256_in1k", dyt=dict(target_rate=0.3))
