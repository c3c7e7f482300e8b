"""The baselines in the frame of DyT, each from its config in ``_base_/tuning``."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from mmengine import Config
from mmengine.runner.checkpoint import get_state_dict, load_state_dict
from mmpretrain.structures import DataSample

from mmdyt.evaluation import CostAccount
from mmdyt.models.utils import collect_dispatch, dispatch_mode, trainable_names
from mmdyt.models.utils.freeze import added_names
from tests.conftest import TINY_ARCH, build, randomise_adapters, tiny_backbone, tiny_classifier

FOLDER = Path(__file__).parents[2] / "configs" / "_base_" / "tuning"
METHODS = sorted(path.stem for path in FOLDER.glob("*.py"))
DYNAMIC = {"dyt", "dyt_d8", "dyt_tome", "dynamic_full"}


def method(name: str, init_cfg: dict | None = None):
    """Build a baseline's own config, on the tiny ViT."""
    model = Config.fromfile(FOLDER / f"{name}.py").model
    tiny = dict(arch=TINY_ARCH, img_size=28, patch_size=4, init_cfg=init_cfg)
    model.backbone.get("module", model.backbone).update(tiny)
    model.head.update(num_classes=10, in_channels=32)
    if name.startswith("vpt"):
        model.backbone.num_prompts = 5
    return build(model)


def plain_classifier():
    return build(tiny_classifier(dict(dispatch=None, adapter=None), tuning="linear", dyt=None))


def plain_state(seed: int = 1) -> dict[str, torch.Tensor]:
    """Weights of a plain ViT classifier in which nothing is trivial."""
    torch.manual_seed(seed)
    model = plain_classifier()
    for param in model.parameters():
        torch.nn.init.normal_(param, std=0.2)
    return model.state_dict()


def backbone(**overrides):
    """A backbone that evaluates; mmpretrain's ``train()`` returns ``None``."""
    torch.manual_seed(3)
    model = build(tiny_backbone(**overrides))
    randomise_adapters(model)
    model.eval()
    return model


def batch(size: int = 4):
    return torch.randn(size, 3, 28, 28), [DataSample().set_gt_label(i) for i in range(size)]


HEAD = {"head.fc.weight", "head.fc.bias"}
LAYERS = [f"backbone.layers.{i}" for i in range(3)]
ADAPTERS = {
    f"{layer}.adapter.mlp.{part}.{kind}"
    for layer in LAYERS
    for part in ("down", "up")
    for kind in ("weight", "bias")
}
DISPATCHERS = {
    f"{layer}.dispatcher.mlp.proj.{kind}" for layer in LAYERS for kind in ("weight", "bias")
}
OPERATIONS = ["backbone.patch_embed.projection", "backbone.ln1"] + [
    f"{layer}.{part}"
    for layer in LAYERS
    for part in ("ln1", "attn.qkv", "attn.proj", "ln2", "ffn.layers.0.0", "ffn.layers.1")
]
LINEARS = [
    f"{layer}.{part}"
    for layer in LAYERS
    for part in ("attn.qkv", "attn.proj", "ffn.layers.0.0", "ffn.layers.1")
]
SHARED_MOE = ("router.weight", "norm_in.weight", "norm_in.bias")
# Prompts and prefixes take a share of attention, and a reflection keeps its distance.
NO_IDENTITY = {"vpt_shallow", "vpt_deep", "dyt_tome", "ether", "prefix", "apt"}
# The head reads the class token, which kernels of patches in the last layer no longer reach.
UNREACHED = {f"{LAYERS[-1]}.adapter.mlp.kernels.{kind}" for kind in ("weight", "bias")}
EXPECTED = {
    "linear": set(),
    "bitfit": {f"{name}.bias" for name in OPERATIONS},
    "adaptformer": ADAPTERS,
    "adaptformer_d8": ADAPTERS,
    "lora": {
        f"{layer.replace('backbone', 'backbone.module')}.attn.qkv.lora_{part}.weight"
        for layer in LAYERS
        for part in ("down", "up")
    },
    "vpt_shallow": {"backbone.layers.0.prompts.tokens"},
    "vpt_deep": {f"{layer}.prompts.tokens" for layer in LAYERS},
    "ssf": {f"{name}.ssf.{part}" for name in OPERATIONS for part in ("scale", "shift")},
    "iconformer": ADAPTERS
    | {f"{layer}.adapter.mlp.kernels.{kind}" for layer in LAYERS for kind in ("weight", "bias")},
    "adapter_x": {
        f"backbone.experts.32.{p}_{k}" for p in ("down", "up") for k in ("weight", "bias")
    }
    | {f"{layer}.adapter.mlp.{name}" for layer in LAYERS for name in SHARED_MOE},
    "ether": {f"{name}.ether.u_in" for name in LINEARS},
    "ether_plus": {f"{n}.ether.{v}_{s}" for n in LINEARS for v in "uv" for s in ("in", "out")},
    "prefix": {f"{layer}.attn.prefix.tokens" for layer in LAYERS},
    "apt": {
        f"{layer}.attn.prefix.{name}"
        for layer in LAYERS
        for name in ("tokens", "scale", "gate.proj.weight")
    },
    "dyt": ADAPTERS | DISPATCHERS,
    "dyt_d8": ADAPTERS | DISPATCHERS,
    "dyt_tome": ADAPTERS | DISPATCHERS,
}


def test_there_is_a_config_for_every_baseline():
    assert set(METHODS) == set(EXPECTED) | {"full", "dynamic_full"}


@pytest.mark.parametrize("name", METHODS)
def test_exactly_the_method_trains_and_one_step_changes_nothing_else(name):
    model = method(name).train()
    trained = set(trainable_names(model))
    everything = {key for key, _ in model.named_parameters()}
    assert trained == HEAD | EXPECTED[name] if name in EXPECTED else trained == everything

    before = deepcopy(dict(model.named_parameters()))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(3):  # what starts at zero passes its first gradient on in the second step
        losses = model.loss(*batch())
        optimizer.zero_grad()
        sum(value for key, value in losses.items() if "loss" in key).backward()
        optimizer.step()
    changed = {key for key, p in model.named_parameters() if not torch.equal(p, before[key])}
    assert changed <= trained
    assert ("rate_loss" in losses) == (name in DYNAMIC)
    assert changed >= HEAD | EXPECTED.get(name, set()) - UNREACHED


@pytest.mark.parametrize("name", sorted(set(METHODS) - NO_IDENTITY))
def test_a_fresh_baseline_is_the_plain_vit(name, tmp_path):
    state = plain_state()
    torch.save(dict(state_dict=state), tmp_path / "plain.pth")
    init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "plain.pth"), prefix="backbone.")
    plain = plain_classifier().eval()
    plain.load_state_dict(state)
    model = method(name, init_cfg).eval()
    model.init_weights()
    images = torch.randn(2, 3, 28, 28)
    with torch.no_grad(), dispatch_mode(model, "complete"):
        torch.testing.assert_close(model.backbone(images), plain.backbone(images))


def test_an_unknown_tuning_names_the_choices():
    with pytest.raises(ValueError, match=r"model.tuning='lora'.*bitfit"):
        build(tiny_classifier(tuning="lora"))


# --- LoRA ---------------------------------------------------------------------------------


def test_a_lora_checkpoint_holds_the_whole_model(tmp_path):
    torch.save(dict(state_dict=plain_state()), tmp_path / "plain.pth")
    init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "plain.pth"), prefix="backbone.")
    model = method("lora", init_cfg)
    model.init_weights()
    for param in model.parameters():
        if param.requires_grad:
            torch.nn.init.normal_(param, std=0.2)
    saved = get_state_dict(model)  # what mmengine's runner writes
    assert set(saved) == {name for name, _ in model.named_parameters()}

    again = method("lora")  # on another base
    again.init_weights()
    load_state_dict(again, saved, strict=True)
    images = torch.randn(2, 3, 28, 28)
    with torch.no_grad():
        assert torch.equal(again.eval()(images), model.eval()(images))


def lora(module: dict):
    wrapper = dict(type="mmpretrain.LoRAModel", module=module, rank=2, targets=[dict(type="qkv")])
    return build(tiny_classifier() | dict(backbone=wrapper))


def test_lora_around_a_dispatching_backbone_is_saved_and_costed():
    model = lora(tiny_backbone()).eval()
    names = set(trainable_names(model))
    assert any("lora_up" in name for name in names) and any("adapter" in name for name in names)
    assert names <= model.state_dict().keys() and added_names(model) <= model.state_dict().keys()
    images = torch.randn(2, 3, 28, 28)
    with torch.no_grad(), collect_dispatch(model) as records:
        model(images)
    assert (CostAccount(model).flops(records, images) > 0).all()


def test_lora_takes_no_part_of_a_base(tmp_path):
    """It loads in its constructor, before any hook of the model."""
    state = build(tiny_backbone(dispatch=None, adapter=None)).state_dict()
    part = {name: tensor for name, tensor in state.items() if not name.startswith("layers.1.")}
    torch.save(part, tmp_path / "part.pth")
    init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "part.pth"))
    with pytest.raises(ValueError, match=r"12 missing: layers\.1"):
        lora(tiny_backbone(dispatch=None, adapter=None, init_cfg=init_cfg))
    plain = dict(type="VisionTransformer", arch=TINY_ARCH, img_size=28, patch_size=4)
    with pytest.raises(ValueError, match=r"'VisionTransformer' would take.*mmdyt\.DyTViT"):
        lora(plain | dict(init_cfg=init_cfg))


# --- VPT ----------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", ["shallow", "deep"])
@pytest.mark.parametrize("out_type", ["cls_token", "raw", "featmap", "avg_featmap"])
def test_prompts_leave_no_trace_in_the_outputs_shape(depth, out_type):
    config = tiny_backbone(out_type=out_type, out_indices=[0, 2], dispatch=None, adapter=None)
    prompted = config | dict(type="mmdyt.PromptedViT", num_prompts=5, prompt_depth=depth)
    images = torch.randn(2, 3, 28, 28)
    plain, ours = build(config)(images), build(prompted)(images)
    assert [out.shape for out in ours] == [out.shape for out in plain]
    assert not torch.allclose(ours[0], plain[0])


def test_prompts_are_active_prefix_tokens_and_not_counted():
    model = backbone(type="mmdyt.PromptedViT", num_prompts=5)
    images = torch.randn(2, 3, 28, 28)
    with torch.no_grad(), collect_dispatch(model) as records:
        skipping = model(images)
        with dispatch_mode(model, "masked"):
            masked = model(images)
    assert {(r.num_prefix, r.mask.shape[1]) for r in records} == {(6, 55)}
    assert all(r.mask[:, :6].all() for r in records)
    torch.testing.assert_close(skipping, masked, rtol=1e-5, atol=1e-5)


def test_deep_prompts_replace_those_of_the_layer_before():
    model = backbone(type="mmdyt.PromptedViT", num_prompts=5)
    streams = []
    for layer in model.layers:
        layer.prompts.register_forward_hook(lambda _m, _a, out: streams.append(out))
    with torch.no_grad():
        model(torch.randn(2, 3, 28, 28))
    for layer, stream in zip(model.layers, streams):
        assert torch.equal(stream[0, 1:6], layer.prompts.tokens[0])


def test_wrong_prompts_are_refused():
    for bad in (dict(num_prompts=0), dict(prompt_depth="middle"), dict(rel_pos_bias=True)):
        with pytest.raises(ValueError, match=f"backbone.{next(iter(bad))}"):
            build(tiny_backbone(type="mmdyt.PromptedViT") | bad)


# --- SSF ----------------------------------------------------------------------------------


def test_ssf_scales_and_shifts_every_operation_but_no_adapter():
    model = build(tiny_backbone(type="mmdyt.SSFViT"))
    with_ssf = {
        name.removesuffix(".ssf") for name, _ in model.named_modules() if name.endswith("ssf")
    }
    assert with_ssf == {name.removeprefix("backbone.") for name in OPERATIONS}
    qkv = model.layers[0].attn.qkv
    torch.nn.init.normal_(qkv.ssf.scale)
    torch.nn.init.normal_(qkv.ssf.shift)
    x = torch.randn(2, 5, 32)
    expected = torch.nn.functional.linear(x, qkv.weight, qkv.bias) * qkv.ssf.scale + qkv.ssf.shift
    torch.testing.assert_close(qkv(x), expected)
    # A copy (EMA, checkpoints) owns its scales.
    copy = deepcopy(model)
    torch.nn.init.zeros_(copy.layers[0].attn.qkv.ssf.scale)
    torch.testing.assert_close(qkv(x), expected)


# --- ToMe ---------------------------------------------------------------------------------


def test_merging_nothing_is_dyt():
    plain, merging = backbone(), backbone(type="mmdyt.ToMeViT", r=0)
    images = torch.randn(2, 3, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(merging(images), plain(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_masked_is_skipping_and_records_tell_of_fewer_tokens(batch_size):
    model = backbone(type="mmdyt.ToMeViT", r=10)
    images = torch.randn(batch_size, 3, 28, 28)
    with torch.no_grad(), collect_dispatch(model) as records:
        skipping = model(images)
        with dispatch_mode(model, "masked"):
            masked = model(images)
    assert [r.mask.shape for r in records[:3]] == [(batch_size, 50 - 10 * i) for i in (1, 2, 3)]
    torch.testing.assert_close(skipping, masked, rtol=1e-5, atol=1e-5)


def test_raw_output_has_the_tokens_that_are_left():
    model = backbone(type="mmdyt.ToMeViT", r=10, out_type="raw")
    with torch.no_grad():
        assert model(torch.randn(2, 3, 28, 28))[0].shape == (2, 20, 32)


@pytest.mark.parametrize(
    "bad, named",
    [
        (dict(r=17), r"backbone\.r must be an integer in \[0, 16\], got 17"),
        (dict(r=-1), r"backbone\.r must be an integer in \[0, 16\], got -1"),
        (dict(out_type="featmap"), r"backbone\.out_type='featmap'.*cls_token.*raw"),
        (dict(out_type="avg_featmap"), r"backbone\.out_type='avg_featmap'"),
        (dict(dispatch="layer"), r"backbone\.dispatch='layer'.*None, 'mlp'"),
        (dict(dispatch="attn"), r"backbone\.dispatch='attn'.*None, 'mlp'"),
    ],
)
def test_what_cannot_merge_is_refused(bad, named):
    with pytest.raises(ValueError, match=named):
        build(tiny_backbone(type="mmdyt.ToMeViT") | bad)
