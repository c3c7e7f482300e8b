"""A frozen backbone comes from a file that fills it; a model from a file that holds it."""

import pytest
import torch
from mmengine.runner import load_checkpoint

from mmdyt.engine.run_checks import require_checkpoint
from mmdyt.integrations.mmpretrain import DyTImageClassifier
from mmdyt.models.utils import load_guards
from mmdyt.models.utils.frozen_base import fingerprint, unlike
from mmdyt.models.utils.model_config import config_differences, registered_class, resolve_defaults
from tests.conftest import TINY_ARCH, build, randomise_adapters, tiny_backbone, tiny_classifier
from tools.model_converters.publish import publish

HEAD = dict(type="LinearClsHead", num_classes=10, in_channels=32)


def plain_vit(**overrides) -> dict[str, torch.Tensor]:
    """State of mmpretrain's own ViT."""
    model = dict(type="VisionTransformer", arch=TINY_ARCH, img_size=28, patch_size=4)
    return build(model | overrides).state_dict()


def without(state: dict, part: str) -> dict:
    return {name: tensor for name, tensor in state.items() if part not in name}


def timm_names(state: dict) -> dict:
    """As ``tools/model_converters/timm_to_mmdyt.py`` would find them."""
    renamed = {}
    for name, tensor in state.items():
        for ours, theirs in (
            ("patch_embed.projection", "patch_embed.proj"),
            ("layers.0", "blocks.0"),
            ("layers.1", "blocks.1"),
            ("layers.2", "blocks.2"),
            (".ln1", ".norm1"),
            (".ln2", ".norm2"),
            ("ffn.blocks.0.0", "mlp.fc1"),
            ("ffn.blocks.1", "mlp.fc2"),
        ):
            name = name.replace(ours, theirs)
        renamed[name] = tensor
    return renamed


def test_init_cfg_takes_a_file_that_fills_the_backbone_only(tmp_path):
    plain = plain_vit()
    timm = timm_names(plain)
    assert 0 < len(timm.keys() & plain.keys()) < len(plain)  # "no key in common" is no guard
    one_deeper = dict(TINY_ARCH, num_layers=4)
    scaled = plain_vit(layer_scale_init_value=1e-5)
    adapted = build(tiny_backbone()).state_dict()
    fine = {
        "plain": (plain, {}),
        "with a head": (plain | {"head.weight": torch.zeros(3, 32)}, {}),
        "with adapters": (adapted, dict(dispatch=None, adapter=None)),
        "with a norm too many": (plain, dict(final_norm=False, out_type="featmap")),
        "with a class token too many": (plain, dict(with_cls_token=False, out_type="featmap")),
        "at another image size": (plain_vit(img_size=56), {}),
        "with LayerScale": (scaled, dict(layer_scale_init_value=1e-5)),
    }
    prefixed = {f"backbone.{name}": tensor for name, tensor in plain.items()}
    refused = {
        "timm": (timm, {}, r"missing: .*unexpected: .*convert .*timm_to_mmdyt\.py"),
        "official": (
            timm | {"blocks.0.adaptmlp.down_proj.weight": torch.zeros(1)},
            {},
            r"official_to_mmdyt\.py",
        ),
        "hugging face": (
            {"encoder.layer.0.attention.attention.query.weight": torch.zeros(1)},
            {},
            r"hf_to_mmdyt\.py",
        ),
        "prefix": (prefixed, {}, r"42 missing.*init_cfg\.prefix='backbone\.'"),
        "one tensor": (
            without(plain, "layers.1.attn.proj.bias"),
            {},
            r"1 missing: layers\.1\.attn",
        ),
        "fewer layers": (plain, dict(arch=one_deeper), r"12 missing: layers\.3\.ln1\.weight"),
        "more layers": (plain_vit(arch=one_deeper), {}, r"12 unexpected: layers\.3\.ln1\.weight"),
        "no LayerScale": (plain, dict(layer_scale_init_value=1e-5), r"missing: .*gamma"),
        "LayerScale": (scaled, {}, r"unexpected: .*gamma"),
        "another width": (
            plain_vit(arch=dict(TINY_ARCH, embed_dims=64)),
            {},
            r"cls_token is \(1, 1, 64\), the model has \(1, 1, 32\)",
        ),
        "an adapter of another width": (
            {k: v[:8] if "adapter.mlp.down" in k else v for k, v in adapted.items()},
            {},
            r"adapter\.mlp\.down\.weight is \(8, 32\), the model has \(64, 32\)",
        ),
        "empty": ({}, {}, r"42 missing: cls_token"),
    }
    for name, (state, overrides, *told) in (fine | refused).items():
        torch.save(state, tmp_path / "base.pth")
        init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "base.pth"))
        tuning = "peft" if overrides.get("adapter", True) else "linear"
        model = build(tiny_classifier(overrides | dict(init_cfg=init_cfg), tuning=tuning))
        if told:
            with pytest.raises(ValueError, match=f"(?s)does not fit DyTViT.*{told[0]}"):
                model.init_weights()
        else:
            model.init_weights()
            weight = model.backbone.layers[2].attn.qkv.weight
            assert torch.equal(weight, state["layers.2.attn.qkv.weight"]), name


def test_plain_backbones_and_full_tuning_are_guarded_too(tmp_path):
    """A plain backbone inside our model, and a model that trains all of it."""
    torch.save(without(plain_vit(), "layers.1.attn"), tmp_path / "base.pth")
    init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "base.pth"))
    vit = dict(type="VisionTransformer", arch=TINY_ARCH, img_size=28, patch_size=4)
    for backbone, tuning in ((vit, "linear"), (tiny_backbone(), "full")):
        model = build(
            tiny_classifier(backbone=None, tuning=tuning)
            | dict(backbone=backbone | dict(init_cfg=init_cfg))
        )
        with pytest.raises(ValueError, match=r"4 missing: layers\.1\.attn\.qkv\.weight"):
            model.init_weights()
    build(tiny_classifier(tuning="full")).init_weights()  # from scratch


def test_a_list_of_init_cfg_keeps_the_position_embedding(tmp_path):
    """mmpretrain's own ``init_weights`` draws it anew after loading it."""
    torch.save(state := plain_vit(), tmp_path / "base.pth")
    pretrained = dict(type="Pretrained", checkpoint=str(tmp_path / "base.pth"))
    model = build(tiny_backbone(init_cfg=[dict(type="Kaiming", layer="Conv2d"), pretrained]))
    model.init_weights()
    assert torch.equal(model.pos_embed, state["pos_embed"])


@pytest.fixture
def complete(tmp_path):
    """A complete checkpoint of a trained model, as mmengine's runner writes it."""
    model = build(tiny_classifier())
    randomise_adapters(model)
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / "epoch_1.pth")
    return model.eval(), str(tmp_path / "epoch_1.pth")


def test_a_model_that_nobody_initialised_takes_whole_checkpoints_only(complete, tmp_path):
    """What ``tools/test.py``, ``get_model`` and ``init_model`` load gives the model or an error."""
    model, file = complete
    again = build(tiny_classifier()).eval()
    load_checkpoint(again, file)
    images = torch.randn(2, 3, 28, 28)
    assert torch.equal(again(images), model(images))
    load_checkpoint(build(tiny_classifier(dict(img_size=56))), file)  # hosts resize the positions
    heads8 = dict(arch=dict(TINY_ARCH, num_heads=8))
    adapter = dict(type="mmdyt.BottleneckAdapter", scale=1.0)
    cases = [
        (
            tiny_classifier(dict(dispatch="attn")),
            r"missing: .*adapter\.attn.*unexpected: .*\.mlp\.",
        ),
        (tiny_classifier(dict(dispatch=None)), r"6 unexpected: .*dispatcher"),
        (tiny_classifier(dict(num_dense_layers=1)), r"2 unexpected: .*layers\.0\.dispatcher"),
        (tiny_classifier(head=dict(HEAD, num_classes=7)), r"head\.fc\.weight is \(10, 32\)"),
        (
            tiny_classifier(
                head=dict(
                    type="StackedLinearClsHead", num_classes=10, in_channels=32, mid_channels=[8]
                )
            ),
            r"missing: head\.layers.*2 unexpected: head\.fc",
        ),
        (tiny_classifier(heads8), r"backbone\.arch\.num_heads: 4 in the file, 8 in the model"),
        (
            tiny_classifier(dict(adapter=adapter)),
            r"backbone\.adapter\.scale: 0\.1 in the file, 1\.0",
        ),
    ]
    for config, told in cases:
        with pytest.raises(ValueError, match=f"the checkpoint .*{told}"):
            load_checkpoint(build(config), file)
    for name, state in (
        ("empty", {}),
        ("plain", {f"backbone.{name}": tensor for name, tensor in plain_vit().items()}),
        ("head only", {"head.fc.weight": torch.zeros(10, 32), "head.fc.bias": torch.zeros(10)}),
        ("adapters only", {n: t for n, t in model.state_dict().items() if "backbone.l" not in n}),
    ):
        torch.save(dict(state_dict=state), tmp_path / "part.pth")
        with pytest.raises(ValueError, match="missing: "):
            load_checkpoint(build(tiny_classifier()), str(tmp_path / "part.pth"))
            pytest.fail(name)


def test_training_starts_from_parts_that_are_whole(complete, tmp_path, monkeypatch):
    """The rule of ``load_from``: backbone whole, adapters all or none, a head whole or anew."""
    model, file = complete

    def start(config: dict):
        started = build(config)
        started.init_weights()
        return started

    other_task = start(tiny_classifier(head=dict(HEAD, num_classes=7)))
    before = other_task.head.fc.weight.clone()
    load_checkpoint(other_task, file)
    assert torch.equal(other_task.head.fc.weight, before)
    name = "backbone.layers.0.adapter.mlp.down.weight"
    assert torch.equal(other_task.get_parameter(name), model.get_parameter(name))
    adapter = dict(type="mmdyt.BottleneckAdapter", scale=1.0)
    logged: list[str] = []
    monkeypatch.setattr(load_guards, "print_log", lambda message, *_: logged.append(message))
    load_checkpoint(start(tiny_classifier(dict(adapter=adapter))), file)
    assert "another model: backbone.adapter.scale: 0.1 in the file, 1.0 in the model" in logged[0]

    plain = {f"backbone.{key}": tensor for key, tensor in plain_vit().items()}
    torch.save(dict(state_dict=plain), tmp_path / "plain.pth")
    load_checkpoint(from_plain := start(tiny_classifier()), str(tmp_path / "plain.pth"))
    qkv = "backbone.layers.0.attn.qkv.weight"
    assert torch.equal(from_plain.get_parameter(qkv), plain[qkv])

    for backbone, told in (
        (dict(dispatch="attn"), r"adapters and dispatchers do not fit.*adapter\.attn"),
        (dict(num_dense_layers=1), r"adapters and dispatchers do not fit.*unexpected"),
        (dict(dispatch=None, adapter=None), r"adapters and dispatchers do not fit.*unexpected"),
    ):
        tuning = "peft" if backbone.get("adapter", True) else "linear"
        with pytest.raises(ValueError, match=told):
            load_checkpoint(start(tiny_classifier(backbone, tuning=tuning)), file)
    for state, told in (
        (without(model.state_dict(), "layers.1.adapter"), "adapters and dispatchers do not fit"),
        (without(model.state_dict(), "layers.1.attn"), r"4 missing: layers\.1\.attn"),
        ({}, "42 missing: cls_token"),
    ):
        torch.save(dict(state_dict=state), tmp_path / "part.pth")
        with pytest.raises(ValueError, match=told):
            load_checkpoint(start(tiny_classifier()), str(tmp_path / "part.pth"))


def test_pretrained_of_the_whole_classifier(tmp_path):
    """mmpretrain's ``pretrained`` argument: a plain classifier of other classes."""
    plain = build(
        tiny_classifier(
            dict(dispatch=None, adapter=None), head=dict(HEAD, num_classes=3), tuning="linear"
        )
    )
    torch.save(dict(state_dict=plain.state_dict()), tmp_path / "plain.pth")
    model = build(tiny_classifier(pretrained=str(tmp_path / "plain.pth")))
    model.init_weights()
    qkv = "backbone.layers.0.attn.qkv.weight"
    assert torch.equal(model.get_parameter(qkv), plain.get_parameter(qkv))


def test_fingerprints_tell_values_places_and_rounding():
    torch.manual_seed(0)
    tensors = dict(weight=torch.randn(48, 32) * 1e-3, bias=torch.zeros(7), one=torch.ones(1))
    known = fingerprint(tensors)
    assert unlike(known, tensors) == []
    assert unlike(known, {name: tensor.bfloat16() for name, tensor in tensors.items()}) == []
    changes = dict(
        flipped=tensors["weight"].flip(0),
        scaled=tensors["weight"] * 1.05,
        shifted=tensors["weight"] + 1e-3,
        transposed=tensors["weight"].t(),
        nan=tensors["weight"].clone().fill_(float("nan")),
    )
    for name, changed in changes.items():
        assert unlike(known, tensors | dict(weight=changed)) == ["weight"], name
    assert unlike(known, dict(tensors, bias=torch.full((7,), 1e-9))) == ["bias"]
    assert unlike(known, {"weight": tensors["weight"]}) == ["bias", "one"]
    assert unlike(known, tensors | dict(more=torch.ones(1))) == ["more"]


def test_a_resized_position_embedding_is_known_again():
    torch.manual_seed(0)
    smooth = resized(torch.randn(1, 768, 5, 5), 14)
    known = fingerprint(dict(pos_embed=tokens(smooth)))
    assert unlike(known, dict(pos_embed=tokens(resized(resized(smooth, 24), 14)))) == []
    for other in (smooth.flip(2), smooth[:, :, torch.randperm(14)], smooth.flip(1)):
        assert unlike(known, dict(pos_embed=tokens(other))) == ["pos_embed"]


def resized(embedding: torch.Tensor, size: int) -> torch.Tensor:
    return torch.nn.functional.interpolate(embedding, size=(size, size), mode="bicubic")


def tokens(embedding: torch.Tensor) -> torch.Tensor:
    return embedding.flatten(2).transpose(1, 2)


def test_positional_arguments_count_too(tmp_path):
    """``DyTImageClassifier(backbone, head=...)`` is another model at another scale."""

    def positional(scale: float) -> DyTImageClassifier:
        adapter = dict(type="mmdyt.BottleneckAdapter", scale=scale)
        return DyTImageClassifier(tiny_backbone(adapter=adapter), head=dict(HEAD))

    torch.save(dict(state_dict=positional(1.0).state_dict()), file := tmp_path / "model.pth")
    with pytest.raises(ValueError, match=r"adapter\.scale: 1\.0 in the file, 0\.1 in the model"):
        load_checkpoint(positional(0.1), str(file))


def test_a_published_file_says_what_it_was_built_from(complete, tmp_path, monkeypatch):
    model, file = complete
    meta = dict(cfg="", seed=0, epoch=1, iter=1)
    torch.save(dict(state_dict=model.state_dict(), meta=meta), file)
    publish(file, tmp_path / "model.safetensors", {}, "")
    monkeypatch.setenv("HOME", str(tmp_path))
    adapter = dict(type="mmdyt.BottleneckAdapter", scale=1.0)
    require_checkpoint("~/model.safetensors", "load_from")
    load_checkpoint(build(tiny_classifier()), "~/model.safetensors")
    with pytest.raises(ValueError, match=r"adapter\.scale: 0\.1 in the file, 1\.0 in the model"):
        load_checkpoint(build(tiny_classifier(dict(adapter=adapter))), "~/model.safetensors")


def test_configs_are_compared_with_their_defaults():
    def resolved(**backbone):
        return resolve_defaults(dict(backbone=dict(type="mmdyt.DyTViT", **backbone)))

    assert config_differences(resolved(), resolved(img_size=[224, 224], arch="b")) == []
    assert config_differences(resolved(), resolved(qkv_bias=False)) == [
        "backbone.qkv_bias: True in the file, False in the model"
    ]
    deeper = config_differences(resolved(arch="large"), resolved())
    assert "backbone.arch.num_layers: 24 in the file, 12 in the model" in deeper
    dispatcher = dict(type="mmdyt.TokenDispatcher")
    assert config_differences(resolved(), resolved(dispatcher=dispatcher)) == []
    assert registered_class("torch.nn.Linear") is None
