"""Compiled inference skips the same tokens, with the same results."""

import pytest
import torch
from torch import nn

from tests.conftest import build, randomise_adapters, tiny_backbone
from tests.test_models.helpers import fix_dispatch, spread_dispatch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CLOSE = dict(atol=1e-4, rtol=1e-4)
pytestmark = pytest.mark.skipif(torch.__version__ < "2.7", reason="needs torch 2.7")


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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@torch.no_grad()
def test_compiled_on_a_gpu():
    backbone = tiny_vit()
    compiled = torch.compile(backbone, fullgraph=True)
    for batch in (1, 2):
        x = images(batch)
        torch.testing.assert_close(compiled(x)[0], backbone(x)[0], **CLOSE)
