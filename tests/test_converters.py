"""Checkpoints of other code bases: same values under our names, or a refusal."""

import re
import runpy
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmseg.models.decode_heads import FCNHead, UPerHead
from mmseg.models.necks import Feature2Pyramid
from safetensors.torch import save_file
from torch import nn

from mmdyt.converters import FORMATS, convert, convert_file
from mmdyt.fileio import load_from_safetensors
from mmdyt.models.backbones import DyTViT
from mmdyt.models.heads import AttentivePool
from mmdyt.models.layers.relative_position_bias import distance_index
from tests.conftest import build, tiny_classifier

TOOLS = Path(__file__).parents[1] / "tools" / "model_converters"
C, HIDDEN, LAYERS, HEADS, D, PATCH, CLASSES = 32, 64, 3, 4, 8, 4, 10


def released_state(adapters: bool = True) -> dict[str, torch.Tensor]:
    """Random weights under the names of timm, or of the released code."""
    shapes = {
        "cls_token": (1, 1, C),
        "pos_embed": (1, 50, C),
        "patch_embed.proj": (C, 3, PATCH, PATCH),
        "norm": (C,),
        "head": (CLASSES, C),
    }
    for i in range(LAYERS):
        block = {"norm1": (C,), "attn.qkv": (3 * C, C), "attn.proj": (C, C), "norm2": (C,)}
        block |= {"mlp.fc1": (HIDDEN, C), "mlp.fc2": (C, HIDDEN)}
        if adapters:
            block |= {"adaptmlp.down_proj": (D, C), "adaptmlp.up_proj": (C, D)}
            block |= {"mlp_token_select.mlp_head": (1, C)}
        shapes |= {f"blocks.{i}.{name}": shape for name, shape in block.items()}
    state = {}
    for name, shape in shapes.items():
        if name in ("cls_token", "pos_embed"):
            state[name] = torch.randn(shape)
            continue
        state[f"{name}.weight"] = torch.randn(shape) * (0.2 if len(shape) > 1 else 1)
        state[f"{name}.bias"] = torch.randn(shape[0]) * 0.2
    return state


def released_forward(state: dict, images: torch.Tensor) -> torch.Tensor:
    """The released architecture in evaluation, written with nothing but torch."""

    def linear(x, name):
        return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(x, name):
        return F.layer_norm(x, (C,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    x = F.conv2d(
        images, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=PATCH
    )
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([state["cls_token"].expand(len(x), -1, -1), x], dim=1) + state["pos_embed"]
    for i in range(LAYERS):
        name = f"blocks.{i}"
        qkv = linear(norm(x, f"{name}.norm1"), f"{name}.attn.qkv")
        q, k, v = qkv.unflatten(-1, (3, HEADS, C // HEADS)).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) / (C // HEADS) ** 0.5).softmax(-1)
        x = x + linear((weights @ v).transpose(1, 2).flatten(2), f"{name}.attn.proj")
        logits = linear(x, f"{name}.mlp_token_select.mlp_head")
        active = (logits.sigmoid() > 0.5).float()
        active[:, 0] = 1
        adapted = linear(linear(x, f"{name}.adaptmlp.down_proj").relu(), f"{name}.adaptmlp.up_proj")
        hidden = F.gelu(linear(norm(x, f"{name}.norm2"), f"{name}.mlp.fc1"))
        x = x + active * linear(hidden, f"{name}.mlp.fc2") + 0.1 * adapted
    return linear(norm(x, "norm")[:, 0], "head")


def npz_state(state: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Store timm weights the way Google's AugReg files do."""
    heads = (HEADS, C // HEADS)
    arrays = {
        "cls": state["cls_token"],
        "Transformer/posembed_input/pos_embedding": state["pos_embed"],
        "embedding/kernel": state["patch_embed.proj.weight"].permute(2, 3, 1, 0),
        "embedding/bias": state["patch_embed.proj.bias"],
        "Transformer/encoder_norm/scale": state["norm.weight"],
        "Transformer/encoder_norm/bias": state["norm.bias"],
        "head/kernel": state["head.weight"].T,
        "head/bias": state["head.bias"],
    }
    for i in range(LAYERS):
        old, new = f"blocks.{i}", f"Transformer/encoderblock_{i}"
        attn = f"{new}/MultiHeadDotProductAttention_1"
        for index, name in enumerate(("query", "key", "value")):
            rows = slice(index * C, (index + 1) * C)
            kernel = state[f"{old}.attn.qkv.weight"][rows].T
            arrays[f"{attn}/{name}/kernel"] = kernel.unflatten(1, heads)
            arrays[f"{attn}/{name}/bias"] = state[f"{old}.attn.qkv.bias"][rows].unflatten(0, heads)
        arrays[f"{attn}/out/kernel"] = state[f"{old}.attn.proj.weight"].T.unflatten(0, heads)
        arrays[f"{attn}/out/bias"] = state[f"{old}.attn.proj.bias"]
        for norm, name in (("norm1", "LayerNorm_0"), ("norm2", "LayerNorm_2")):
            arrays[f"{new}/{name}/scale"] = state[f"{old}.{norm}.weight"]
            arrays[f"{new}/{name}/bias"] = state[f"{old}.{norm}.bias"]
        for fc, name in (("mlp.fc1", "Dense_0"), ("mlp.fc2", "Dense_1")):
            arrays[f"{new}/MlpBlock_3/{name}/kernel"] = state[f"{old}.{fc}.weight"].T
            arrays[f"{new}/MlpBlock_3/{name}/bias"] = state[f"{old}.{fc}.bias"]
    return {name: tensor.numpy() for name, tensor in arrays.items()}


def our_model():
    adapter = dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=D)
    return build(tiny_classifier(dict(adapter=adapter)))


@pytest.mark.parametrize("nest", [None, "model"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_released_checkpoint_loads_strictly_and_gives_the_same_logits(tmp_path, nest, suffix):
    state = released_state()
    torch.save({nest: state} if nest else state, tmp_path / "src.pth")
    convert_file(tmp_path / "src.pth", tmp_path / f"dst{suffix}", "official")

    model = our_model().eval()
    if suffix == ".pth":
        loaded = torch.load(tmp_path / "dst.pth", weights_only=True)
    else:
        loaded = load_from_safetensors(str(tmp_path / "dst.safetensors"))
    model.load_state_dict(loaded["state_dict"], strict=True)
    assert loaded["meta"] == dict(source="src.pth", format="official")

    images = torch.randn(4, 3, 28, 28)
    expected = released_forward(state, images)
    with torch.no_grad():
        ours = model(images, mode="tensor")
    assert (ours - expected).norm() / expected.norm() < 1e-4


TABLE = {
    "cls_token": "backbone.cls_token",
    "pos_embed": "backbone.pos_embed",
    "patch_embed.proj": "backbone.patch_embed.projection",
    "norm": "backbone.ln1",
    "head": "head.fc",
    "norm1": "ln1",
    "attn.qkv": "attn.qkv",
    "attn.proj": "attn.proj",
    "norm2": "ln2",
    "mlp.fc1": "ffn.layers.0.0",
    "mlp.fc2": "ffn.layers.1",
    "adaptmlp.down_proj": "adapter.mlp.down",
    "adaptmlp.up_proj": "adapter.mlp.up",
    "mlp_token_select.mlp_head": "dispatcher.mlp.proj",
}


def our_name(name: str) -> str:
    if name in ("cls_token", "pos_embed"):
        return TABLE[name]
    module, kind = name.rsplit(".", 1)
    if not module.startswith("blocks."):
        return f"{TABLE[module]}.{kind}"
    _, index, rest = module.split(".", 2)
    return f"backbone.layers.{index}.{TABLE[rest]}.{kind}"


def test_every_key_of_a_released_checkpoint_has_its_place():
    state = released_state()
    converted = convert(state, "official")
    assert len(converted) == len(state)
    for name, tensor in state.items():
        assert torch.equal(converted[our_name(name)], tensor), name


@pytest.mark.parametrize("kind", ["timm", "augreg_npz"])
def test_a_pretrained_backbone_goes_round(tmp_path, kind):
    state = released_state(adapters=False)
    source = tmp_path / "src.npz"
    if kind == "augreg_npz":
        np.savez(source, **npz_state(state))
    else:
        in21k = {**state, "pre_logits.fc.weight": torch.zeros(C, C)}
        torch.save(dict(state_dict=in21k), source)
    target = tmp_path / "dst.safetensors"
    converted = convert_file(source, target, kind)

    expected = {our_name(name): t for name, t in state.items() if not name.startswith("head")}
    assert converted.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(converted[name], tensor), name

    init_cfg = dict(type="Pretrained", checkpoint=str(target), prefix="backbone.")
    model = build(tiny_classifier(dict(init_cfg=init_cfg)))
    model.init_weights()
    for name, tensor in expected.items():
        assert torch.equal(model.get_parameter(name), tensor), name


@pytest.mark.parametrize(
    "spoil, named",
    [
        (lambda s: s.pop("blocks.1.mlp.fc2.bias"), "blocks.1.mlp.fc2.bias"),
        (lambda s: s.pop("norm.weight"), "norm.weight"),
        (lambda s: s.update({"blocks.0.ls1.gamma": torch.ones(C)}), "blocks.0.ls1.gamma"),
        (lambda s: s.update({"norm.bias": torch.ones(C + 1)}), "norm.bias"),
        (lambda s: s.update({"pos_embed": torch.ones(1, 48, C)}), "pos_embed"),
        (lambda s: s.update({"patch_embed.proj.weight": torch.ones(C)}), "patch_embed.proj.weight"),
        (lambda s: s.update({"blocks.2.attn.qkv.weight": torch.ones(C, C)}), "blocks.2.attn.qkv"),
    ],
)
@pytest.mark.parametrize("kind", ["timm", "official"])
def test_a_wrong_file_is_refused_and_the_target_survives(tmp_path, kind, spoil, named):
    state = released_state(adapters=kind == "official")
    spoil(state)
    torch.save(state, tmp_path / "src.pth")
    (tmp_path / "dst.pth").write_bytes(b"what was there before")
    with pytest.raises(ValueError, match=named):
        convert_file(tmp_path / "src.pth", tmp_path / "dst.pth", kind)
    assert (tmp_path / "dst.pth").read_bytes() == b"what was there before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dst.pth", "src.pth"]


def test_a_whole_missing_block_and_another_format_are_named():
    state = released_state()
    broken = {k: v for k, v in state.items() if not k.startswith("blocks.1.")}
    with pytest.raises(ValueError, match=r"blocks\.1\.norm1\.weight"):
        convert(broken, "official")
    with pytest.raises(ValueError, match=r"blocks\.0\.adaptmlp\.down_proj\.weight"):
        convert(state, "timm")
    with pytest.raises(ValueError, match=r"blocks\.0\.adaptmlp\.down_proj\.weight"):
        convert(released_state(adapters=False), "official")
    with pytest.raises(ValueError, match="augreg_npz"):
        convert(state, "augreg")
    arrays = {k: torch.from_numpy(v) for k, v in npz_state(released_state(False)).items()}
    del arrays["Transformer/encoderblock_2/MlpBlock_3/Dense_1/kernel"]
    with pytest.raises(ValueError, match="encoderblock_2/MlpBlock_3/Dense_1/kernel"):
        convert(arrays, "augreg_npz")


def test_truncated_files_code_and_other_suffixes_are_refused(tmp_path):
    torch.save(released_state(), tmp_path / "src.pth")
    np.savez(tmp_path / "src.npz", **npz_state(released_state(False)))
    for name, kind in (("src.pth", "official"), ("src.npz", "augreg_npz")):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ValueError, match=name):
            convert_file(tmp_path / name, tmp_path / "dst.pth", kind)
    torch.save(dict(model=nn.Linear(2, 2)), tmp_path / "code.pth")
    with pytest.raises(ValueError, match="more than tensors"):
        convert_file(tmp_path / "code.pth", tmp_path / "dst.pth", "timm")
    with pytest.raises(ValueError, match=r"\.safetensors"):
        convert_file(tmp_path / "code.pth", tmp_path / "dst.bin", "timm")
    with pytest.raises(FileNotFoundError, match="none"):
        convert_file(tmp_path / "none.pth", tmp_path / "dst.pth", "timm")
    assert not (tmp_path / "dst.pth").exists()


@pytest.mark.skipif(
    not hasattr(torch.serialization, "safe_globals"), reason="torch before 2.5 refuses such files"
)
def test_a_training_checkpoint_with_its_arguments_is_read_without_running_code(
    tmp_path, monkeypatch
):
    class EasyDict(dict):
        pass

    EasyDict.__module__, EasyDict.__qualname__ = "easydict", "EasyDict"
    module = ModuleType("easydict")
    module.EasyDict = EasyDict
    args = Namespace(blr=1e-3, tuning_config=EasyDict(ffn_num=D))
    state = released_state()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "easydict", module)
        torch.save(dict(model=state, epoch=3, args=args), tmp_path / "src.pth")
    converted = convert_file(tmp_path / "src.pth", tmp_path / "dst.pth", "official")
    assert torch.equal(converted["head.fc.weight"], state["head.weight"])


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_has_a_tool(kind):
    assert (TOOLS / f"{kind}_to_mmdyt.py").is_file()


def test_the_tool_says_what_is_wrong_and_fails(tmp_path, monkeypatch):
    torch.save(released_state(adapters=False), tmp_path / "src.pth")
    tool = str(TOOLS / "official_to_mmdyt.py")
    monkeypatch.setattr(sys, "argv", [tool, str(tmp_path / "src.pth"), str(tmp_path / "dst.pth")])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(tool, run_name="__main__")
    first = str(ended.value).splitlines()[0]
    assert first.startswith("error:") and "blocks.0.adaptmlp.down_proj.weight" in first


def test_safetensors_of_timm_are_read_and_nan_is_refused(tmp_path):
    state = released_state(adapters=False)
    save_file(state, tmp_path / "src.safetensors")
    converted = convert_file(tmp_path / "src.safetensors", tmp_path / "dst.pth", "timm")
    assert torch.equal(converted["backbone.ln1.weight"], state["norm.weight"])
    state["blocks.1.norm2.bias"][3] = float("nan")
    save_file(state, tmp_path / "src.safetensors")
    with pytest.raises(ValueError, match=r"blocks\.1\.norm2\.bias' holds NaN"):
        convert_file(tmp_path / "src.safetensors", tmp_path / "dst.pth", "timm")


def video_state() -> dict[str, torch.Tensor]:
    """Random weights of the released video model: one query over the tokens of all frames."""
    state = released_state() | {"query_token": torch.randn(1, 1, C)}
    for name in "qkv":
        state[f"attentive_blocks.norm_{name}.weight"] = torch.randn(C)
        state[f"attentive_blocks.norm_{name}.bias"] = torch.randn(C)
        state[f"attentive_blocks.cross_attn.{name}.weight"] = torch.randn(C, C) * 0.2
    for name in ("q_bias", "v_bias", "proj.bias"):
        state[f"attentive_blocks.cross_attn.{name}"] = torch.randn(C)
    state["attentive_blocks.cross_attn.proj.weight"] = torch.randn(C, C) * 0.2
    return state


def released_pool(state: dict, tokens: torch.Tensor) -> torch.Tensor:
    """The released attentive block, written with nothing but torch: ``(B, T * N, C)`` tokens."""
    name = "attentive_blocks"

    def projected(x, part, bias):
        weight, shift = state[f"{name}.norm_{part}.weight"], state[f"{name}.norm_{part}.bias"]
        x = F.layer_norm(x, (C,), weight, shift, 1e-6)
        x = F.linear(x, state[f"{name}.cross_attn.{part}.weight"], bias)
        return x.unflatten(-1, (HEADS, C // HEADS)).transpose(1, 2)

    q = projected(state["query_token"], "q", state[f"{name}.cross_attn.q_bias"])
    k = projected(tokens, "k", None)
    v = projected(tokens, "v", state[f"{name}.cross_attn.v_bias"])
    weights = (q @ k.transpose(-1, -2) / (C // HEADS) ** 0.5).softmax(-1)
    pooled = (weights @ v).transpose(1, 2).flatten(2)[:, 0]
    proj = f"{name}.cross_attn.proj"
    return F.linear(pooled, state[f"{proj}.weight"], state[f"{proj}.bias"])


def test_a_released_video_model_pools_and_classifies_as_before():
    state = video_state()
    converted = convert(state, "official")
    assert not converted["cls_head.pool.temporal_embed"].any()
    pool = AttentivePool(C, num_frames=8, num_heads=HEADS)
    part = {k.removeprefix("cls_head.pool."): v for k, v in converted.items() if ".pool." in k}
    pool.load_state_dict(part, strict=True)
    tokens = torch.randn(2, 8, 5, C)
    expected = released_pool(state, tokens.flatten(1, 2))
    torch.testing.assert_close(pool(tokens), expected, atol=1e-5, rtol=1e-4)
    assert torch.equal(converted["cls_head.fc_cls.weight"], state["head.weight"])
    assert torch.equal(converted["backbone.ln1.bias"], state["norm.bias"])

    del state["attentive_blocks.cross_attn.v_bias"]
    with pytest.raises(ValueError, match=r"v_bias' is missing"):
        convert(state, "official")


def segmentation_state() -> dict[str, torch.Tensor]:
    """Random weights of the released segmentation model, with its relative position bias."""
    aside = ("norm.", "head.")
    state = {f"backbone.{k}": v for k, v in released_state().items() if not k.startswith(aside)}
    for i in range(LAYERS):
        state[f"backbone.blocks.{i}.attn.relative_position_bias_table"] = torch.randn(172, HEADS)
        state[f"backbone.blocks.{i}.attn.relative_position_index"] = distance_index(
            7, 7, num_prefix=1
        )
    for name in ("fpn1.0", "fpn1.2", "fpn2.0"):
        state[f"backbone.{name}.weight"] = torch.randn(C, C, 2, 2) * 0.2
        state[f"backbone.{name}.bias"] = torch.randn(C)
    shared = dict(num_classes=CLASSES, norm_cfg=dict(type="BN"), align_corners=False)
    decode = UPerHead(in_channels=[C] * 4, in_index=[0, 1, 2, 3], channels=6, **shared)
    auxiliary = FCNHead(
        in_channels=C, in_index=2, channels=4, num_convs=1, concat_input=False, **shared
    )
    state |= {f"decode_head.{k}": v for k, v in decode.state_dict().items()}
    return state | {f"auxiliary_head.{k}": v for k, v in auxiliary.state_dict().items()}


def test_a_released_segmentation_model_has_our_neck_and_bias():
    state = segmentation_state()
    converted = convert(state, "official")
    backbone = DyTViT(
        dict(embed_dims=C, num_layers=LAYERS, num_heads=HEADS, feedforward_channels=HIDDEN),
        img_size=28,
        patch_size=PATCH,
        rel_pos_bias=True,
        final_norm=False,
        out_type="featmap",
        adapter=dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=D),
    )
    neck = Feature2Pyramid(C, norm_cfg=dict(type="BN")).eval()
    for prefix, module in {"backbone.": backbone, "neck.": neck}.items():
        part = {k.removeprefix(prefix): v for k, v in converted.items() if k.startswith(prefix)}
        module.load_state_dict(part, strict=True)
    table = backbone.layers[1].attn.rel_pos_bias.table
    assert torch.equal(table, state["backbone.blocks.1.attn.relative_position_bias_table"])
    heads = [name for name in state if name.startswith(("decode_head.", "auxiliary_head."))]
    assert len(heads) > 80 and all(torch.equal(converted[name], state[name]) for name in heads)
    without = {name: value for name, value in state.items() if "auxiliary_head" not in name}
    assert convert(without, "official").keys() == converted.keys() - {
        name for name in heads if "auxiliary_head" in name
    }

    maps = torch.randn(2, C, 3, 3)
    first, last = (
        (state[f"backbone.fpn1.{i}.weight"], state[f"backbone.fpn1.{i}.bias"]) for i in (0, 2)
    )
    expected = F.conv_transpose2d(
        F.gelu(F.conv_transpose2d(maps, *first, stride=2)), *last, stride=2
    )
    torch.testing.assert_close(neck([maps] * 4)[0], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "name, value, told",
    [
        ("backbone.fpn2.0.weight", torch.ones(C, C, 3, 3), "has the wrong shape"),
        ("decode_head.conv_seg.weight", None, "is missing"),
        ("decode_head.fpn_convs.1.bn.running_var", None, "is missing"),
        ("auxiliary_head.conv_seg.bias", None, "is missing"),
        ("decode_head.junk", torch.ones(1), "is not a key"),
        ("decode_head.bottleneck.conv.weight", torch.ones(6, C, 3, 3), "has the wrong shape"),
        ("auxiliary_head.convs.0.conv.weight", torch.ones(4, C, 1, 1), "has the wrong shape"),
        ("backbone.blocks.1.attn.relative_position_index", torch.zeros(50, 50), "does not number"),
        ("backbone.blocks.1.attn.relative_position_index", None, "is missing"),
    ],
)
def test_a_segmentation_model_with_another_tensor_is_refused_by_its_name(name, value, told):
    state = segmentation_state()
    if value is None:
        del state[name]
    else:
        state[name] = value
    with pytest.raises(ValueError, match=f"'{re.escape(name)}' {told}"):
        convert(state, "official")
