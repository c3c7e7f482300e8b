"""Hugging Face's ViT and DINOv2, from state dicts and from ONNX files."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file

from mmdyt.converters import convert, convert_file
from mmdyt.models.backbones import DyTViT
from tests.test_converters import HEADS, HIDDEN, LAYERS, C, released_state

VIT = {
    "norm1": "layernorm_before",
    "attn.proj": "attention.output.dense",
    "norm2": "layernorm_after",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
DINOV2 = {**VIT, "norm1": "norm1", "norm2": "norm2", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}


def hf_state(timm: dict, block: dict, root: str = "") -> dict[str, torch.Tensor]:
    """Store timm's weights under the names of transformers."""
    state = {
        f"{root}embeddings.cls_token": timm["cls_token"],
        f"{root}embeddings.position_embeddings": timm["pos_embed"],
    }
    for kind in ("weight", "bias"):
        projection = timm[f"patch_embed.proj.{kind}"]
        state[f"{root}embeddings.patch_embeddings.projection.{kind}"] = projection
        state[f"{root}layernorm.{kind}"] = timm[f"norm.{kind}"]
        for i in range(LAYERS):
            layer = f"{root}encoder.layer.{i}"
            parts = timm[f"blocks.{i}.attn.qkv.{kind}"].chunk(3)
            for name, part in zip(("query", "key", "value"), parts):
                state[f"{layer}.attention.attention.{name}.{kind}"] = part.clone()
            for old, new in block.items():
                state[f"{layer}.{new}.{kind}"] = timm[f"blocks.{i}.{old}.{kind}"]
    return state


def scales(root: str = "") -> dict[str, torch.Tensor]:
    names = (f"layer_scale{n}.lambda1" for n in (1, 2))
    return {f"{root}encoder.layer.{i}.{n}": torch.randn(C) for n in names for i in range(LAYERS)}


def test_vit_of_transformers_is_timms_under_other_names(tmp_path):
    timm = released_state(adapters=False)
    state = hf_state(timm, VIT, "vit.") | {
        "vit.pooler.dense.weight": torch.ones(C, C),
        "classifier.bias": torch.ones(3),
    }
    torch.save(state, tmp_path / "pytorch_model.bin")
    save_file(state, tmp_path / "model.safetensors")
    expected = convert(timm, "timm")
    for name in ("pytorch_model.bin", "model.safetensors"):
        converted = convert_file(tmp_path / name, tmp_path / "dst.safetensors", "hf")
        assert converted.keys() == expected.keys()
        assert all(torch.equal(converted[key], expected[key]) for key in expected)


def test_dinov2_brings_its_layer_scale():
    timm, scale = released_state(adapters=False), scales()
    state = hf_state(timm, DINOV2) | scale | {"embeddings.mask_token": torch.ones(1, C)}
    converted = convert(state, "hf")
    assert converted.keys() - convert(timm, "timm").keys() == {
        f"backbone.layers.{i}.{name}.weight"
        for name in ("attn.gamma1", "ffn.gamma2")
        for i in range(LAYERS)
    }
    for i in range(LAYERS):
        expected = scale[f"encoder.layer.{i}.layer_scale2.lambda1"]
        assert torch.equal(converted[f"backbone.layers.{i}.ffn.gamma2.weight"], expected)
    scaled = DyTViT(
        dict(embed_dims=C, num_layers=LAYERS, num_heads=HEADS, feedforward_channels=HIDDEN),
        img_size=28,
        patch_size=4,
        layer_scale_init_value=1.0,
        dispatch=None,
        adapter=None,
    )
    bare = {key.removeprefix("backbone."): value for key, value in converted.items()}
    scaled.load_state_dict(bare, strict=True)


@pytest.mark.parametrize(
    "spoil, told",
    [
        (lambda s: s.update({"embeddings.register_tokens": torch.ones(1, 4, C)}), "register"),
        (lambda s: s.pop("encoder.layer.1.attention.attention.key.bias"), r"key\.bias' is missing"),
        (lambda s: s.pop("encoder.layer.2.layer_scale1.lambda1"), r"lambda1' is missing"),
        (lambda s: s.update({"other.embeddings.cls_token": torch.ones(1, 1, C)}), "has 2"),
        (lambda s: s.pop("embeddings.cls_token"), "this one has 0"),
        (
            lambda s: s.update({"encoder.layer.0.mlp.weights_in.bias": torch.ones(C)}),
            r"weights_in\.bias' is not a key",
        ),
        (
            lambda s: s.update({"encoder.layer.0.attention.attention.value.weight": torch.ones(C)}),
            r"value\.weight' \(32,\) has the wrong shape",
        ),
        (
            lambda s: s["encoder.layer.0.attention.attention.key.bias"].fill_(float("nan")),
            r"key\.bias' holds NaN",
        ),
        (
            lambda s: s.update({"layernorm.bias": torch.ones(C, dtype=torch.long)}),
            r"layernorm\.bias' holds torch\.int64",
        ),
    ],
)
def test_what_is_no_such_backbone_is_refused_by_name(spoil, told):
    state = hf_state(released_state(adapters=False), DINOV2) | scales()
    spoil(state)
    with pytest.raises(ValueError, match=told):
        convert(state, "hf")


def exported(state: dict[str, torch.Tensor]) -> onnx.ModelProto:
    """An ONNX file that holds weights as torch's exporter leaves them: some without names."""
    nodes, values = [], {}

    def node(kind: str, scope: str, value: torch.Tensor) -> None:
        name = f"onnx::{kind}_{len(values)}"
        values[name] = value
        path = f"/{scope.replace('.', '/')}/{kind}"
        nodes.append(helper.make_node(kind, ["x", name], [f"{path}_out"], name=path))

    for key, value in state.items():
        if key.endswith("position_embeddings"):
            scope = key.removesuffix(".position_embeddings")
            node("Reshape", scope, value[:, 1:])
            node("Concat", scope, value[:, :1])
        elif value.ndim == 2:
            node("MatMul", key.removesuffix(".weight"), value.T)
        else:
            values[key] = value
    nodes.append(helper.make_node("MatMul", ["x", "x"], ["y"], name="/attention/MatMul"))
    initializers = [
        numpy_helper.from_array(value.contiguous().numpy(), name) for name, value in values.items()
    ]
    tensor = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    return helper.make_model(helper.make_graph(nodes, "graph", [tensor], [], initializers))


def test_onnx_weights_are_named_by_their_nodes(tmp_path):
    root = "backbone."
    state = hf_state(released_state(adapters=False), DINOV2, root) | scales(root)
    head = {"decoder.conv.weight": torch.ones(1, C, 1, 1)}
    onnx.save(exported(state | head), tmp_path / "model.onnx")
    converted = convert_file(tmp_path / "model.onnx", tmp_path / "dst.pth", "hf")
    expected = convert(state, "hf")
    assert converted.keys() == expected.keys()
    assert all(torch.equal(converted[key], expected[key]) for key in expected)


def test_an_onnx_whose_weights_two_nodes_claim_is_refused(tmp_path):
    state = hf_state(released_state(adapters=False), DINOV2) | scales()
    model = exported(state)
    node = next(node for node in model.graph.node if node.name.endswith("fc1/MatMul"))
    other = numpy_helper.from_array(np.ones((C, C), np.float32), "onnx::MatMul_9999")
    model.graph.initializer.append(other)
    model.graph.node.append(
        helper.make_node("MatMul", ["x", other.name], ["z"], name=f"{node.name}_1")
    )
    onnx.save(model, tmp_path / "twice.onnx")
    with pytest.raises(ValueError, match=r"fc1\.weight' is missing"):
        convert_file(tmp_path / "twice.onnx", tmp_path / "dst.pth", "hf")


def test_an_onnx_without_the_backbone_or_cut_off_is_refused(tmp_path):
    onnx.save(exported({"decoder.conv.weight": torch.ones(1, C, 1, 1)}), tmp_path / "other.onnx")
    with pytest.raises(ValueError, match=r"other\.onnx: .*this one has 0"):
        convert_file(tmp_path / "other.onnx", tmp_path / "dst.pth", "hf")
    whole = (tmp_path / "other.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cut\.onnx is no complete ONNX file"):
        convert_file(tmp_path / "cut.onnx", tmp_path / "dst.pth", "hf")
    with pytest.raises(FileNotFoundError, match="none"):
        convert_file(tmp_path / "none.onnx", tmp_path / "dst.pth", "hf")
    assert not (tmp_path / "dst.pth").exists()


@pytest.mark.parametrize("family", ["ViT", "Dinov2"])
def test_tokens_are_those_of_transformers(family, tmp_path):
    """Not in our requirements: with it, mmpretrain's import takes seconds longer."""
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{family}Config")(
        hidden_size=C, num_hidden_layers=LAYERS, num_attention_heads=HEADS, image_size=28,
        patch_size=4, intermediate_size=HIDDEN, mlp_ratio=HIDDEN // C, layer_norm_eps=1e-6,
    )  # fmt: skip
    source = getattr(transformers, f"{family}Model")(config).eval()
    for parameter in source.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    source.save_pretrained(tmp_path)  # its state dict has other names since transformers 5
    converted = convert_file(tmp_path / "model.safetensors", tmp_path / "dst.safetensors", "hf")
    ours = DyTViT(
        dict(embed_dims=C, num_layers=LAYERS, num_heads=HEADS, feedforward_channels=HIDDEN),
        img_size=28,
        patch_size=4,
        layer_scale_init_value=float(family == "Dinov2"),
        dispatch=None,
        adapter=None,
        out_type="raw",
    ).eval()
    bare = {key.removeprefix("backbone."): value for key, value in converted.items()}
    ours.load_state_dict(bare, strict=True)
    images = torch.randn(4, 3, 28, 28)
    with torch.no_grad():
        (tokens,) = ours(images)
        expected = source(images).last_hidden_state
    np.testing.assert_allclose(tokens, expected, atol=1e-4)
