"""Compiled and fused inference skip the same tokens, with the same results."""

import copy
import os
from operator import itemgetter

import pytest
import torch
from torch import nn

from mmdyt.models.layers import fused_mlp
from mmdyt.models.utils import collect_dispatch, dispatched_layers
from mmdyt.ops.kernels import FUSED_MLP, has_fused_mlp
from tests.conftest import build, randomise_adapters, tiny_backbone
from tests.test_models.helpers import fix_dispatch, spread_dispatch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cuda" if torch.cuda.is_available() and not INTERPRETED else "cpu"
TINY_SWIN = dict(
    type="mmdyt.DyTSwinTransformer",
    arch=dict(embed_dims=16, depths=[1, 1], num_heads=[2, 2]),
    img_size=28,
    patch_size=4,
    window_size=7,
    pad_small_map=True,
    out_indices=(1,),
)
TYPE = itemgetter("type")
CLOSE = dict(atol=1e-4, rtol=1e-4)
pytestmark = pytest.mark.skipif(torch.__version__ < "2.7", reason="needs torch 2.7")


@pytest.fixture(autouse=True)
def _fused(monkeypatch):
    """Ask for the kernels wherever they can run."""
    monkeypatch.setenv(FUSED_MLP, "1")


def lively(config: dict) -> nn.Module:
    """A backbone in inference whose adapters and decisions matter."""
    backbone = build(config).to(DEVICE)
    randomise_adapters(backbone)
    spread_dispatch(backbone)
    backbone.eval()
    return backbone


def tiny_vit() -> nn.Module:
    return lively(tiny_backbone(drop_path_rate=0.1))


def images(batch: int) -> torch.Tensor:
    return torch.randn(batch, 3, 28, 28, device=DEVICE)


def layer_and_mask() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A layer, its input, and the mask that it will follow, prefix and all."""
    torch._dynamo.reset()
    layer = tiny_vit().layers[1]
    layer.num_prefix = 0
    mask = torch.rand(2, 50, device=DEVICE) < 0.5
    fix_dispatch(layer, mask)
    return layer, torch.randn(2, 50, 32, device=DEVICE), mask


@pytest.fixture
def dynamic_shapes():
    """Let the compiler follow tensors whose size depends on the data."""
    torch._dynamo.reset()
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        yield


@pytest.mark.parametrize("dispatch", ["mlp", "attn", "attn_mlp", "layer"])
@torch.no_grad()
def test_a_compiled_backbone_skips_without_a_graph_break(dynamic_shapes, dispatch):
    backbone = lively(tiny_backbone(drop_path_rate=0.1, dispatch=dispatch))
    compiled = torch.compile(backbone, backend="eager", fullgraph=True)
    for batch in (1, 2):
        x = images(batch)
        torch.testing.assert_close(compiled(x)[0], backbone(x)[0], **CLOSE)


@pytest.mark.parametrize("rate", [0.0, 1.0])
@torch.no_grad()
def test_a_compiled_layer_takes_masks_of_any_rate(dynamic_shapes, rate):
    """The graph was made for another number of active tokens."""
    layer, x, mask = layer_and_mask()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), layer(x), **CLOSE)
    mask.copy_(torch.rand(2, 50) < rate)
    with torch._dynamo.config.patch(error_on_recompile=True):
        torch.testing.assert_close(compiled(x), layer(x), **CLOSE)


@torch.no_grad()
def test_the_fused_way_compiles_into_static_shapes(monkeypatch):
    """Without a GPU the operator runs in its plain form inside the compiled graph."""
    layer, x, mask = layer_and_mask()
    masks = [torch.rand(2, 50, device=DEVICE) < rate for rate in (0.5, 0, 1)]
    monkeypatch.setenv(FUSED_MLP, "0")
    expected = []
    for kind in masks:
        mask.copy_(kind)
        expected.append(layer(x))
    monkeypatch.setenv(FUSED_MLP, "1")
    monkeypatch.setattr(fused_mlp, "has_fused_mlp", lambda device: True)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    compiled(x)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for kind, wanted in zip(masks, expected):
            mask.copy_(kind)
            torch.testing.assert_close(compiled(x), wanted, **CLOSE)


@pytest.mark.parametrize("config", [tiny_backbone(drop_path_rate=0.1), TINY_SWIN], ids=TYPE)
@torch.no_grad()
def test_a_fused_backbone_equals_the_torch_path(monkeypatch, config):
    if not has_fused_mlp(images(1).device):
        pytest.skip("needs a GPU, or TRITON_INTERPRET=1")
    backbone = lively(config)
    calls = []
    add_active_mlp = fused_mlp.add_active_mlp
    monkeypatch.setattr(
        "mmdyt.models.layers.dispatched_layer.add_active_mlp",
        lambda *args: calls.append(1) or add_active_mlp(*args),
    )
    x = images(2)
    with collect_dispatch(backbone) as ours:
        fused = backbone(x)[-1]
    assert len(calls) == len(dispatched_layers(backbone))
    monkeypatch.setenv(FUSED_MLP, "0")
    with collect_dispatch(backbone) as plain:
        expected = backbone(x)[-1]
    assert len(calls) == len(dispatched_layers(backbone))  # switched off
    torch.testing.assert_close(fused, expected, **CLOSE)
    assert all(torch.equal(a.mask, b.mask) for a, b in zip(ours, plain))
    assert 0 < torch.cat([record.mask.float() for record in ours], dim=1).mean() < 1


@torch.no_grad()
def test_only_what_the_kernels_compute_is_fused(monkeypatch):
    """A GPU is made believe; nothing runs on it."""
    monkeypatch.setattr(fused_mlp, "has_fused_mlp", lambda device: True)
    layer, x = tiny_vit().layers[0], torch.randn(2, 50, 32, device=DEVICE)

    def fuses(**changes) -> bool:
        other = copy.deepcopy(layer)
        for name, value in changes.items():
            owner, _, attribute = name.replace("__", ".").rpartition(".")
            setattr(other.get_submodule(owner), attribute, value)
        return fused_mlp.can_fuse(other.ln2, other.ffn, x)

    assert fuses()
    assert not fuses(ln2=nn.Identity())
    assert not fuses(ln2=nn.LayerNorm(32, elementwise_affine=False))
    assert not fuses(ffn=nn.Linear(32, 32))
    assert not fuses(ffn__gamma2=nn.Linear(32, 32))
    assert not fuses(ffn__layers__0__1=nn.GELU(approximate="tanh"))
    assert not fuses(ffn__layers__1=nn.Linear(64, 32, bias=False))
    assert not fuses(ffn__training=True)  # its dropout is active
    with torch.enable_grad():
        assert not fuses()
    layer.double()
    assert not fuses()
    layer.float().ffn.register_forward_hook(lambda *_: None)
    assert not fuses()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@torch.no_grad()
def test_a_cuda_graph_of_a_backbone_follows_its_images():
    backbone, x = tiny_vit(), images(2)
    assert all(fused_mlp.can_fuse(layer.ln2, layer.ffn, x) for layer in backbone.layers)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        backbone(x)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = backbone(x)[0]
    for _ in range(3):
        x.copy_(images(2))
        graph.replay()
        torch.testing.assert_close(result, backbone(x)[0], **CLOSE)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@torch.no_grad()
def test_compiled_on_a_gpu():
    backbone = tiny_vit()
    compiled = torch.compile(backbone, fullgraph=True)
    for batch in (1, 2):
        x = images(batch)
        torch.testing.assert_close(compiled(x)[0], backbone(x)[0], **CLOSE)
