"""The fused kernels compute what the torch path does, whatever is active.

Where no GPU is, Triton's interpreter runs them on the CPU, in a process of its
own, as the switch is read once.
"""

import os
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

from mmdyt.ops import active_indices, gather_tokens, scatter_add_tokens
from mmdyt.ops.kernels import FUSED_MLP, compact_indices, fused_mlp, has_fused_mlp
from tests.conftest import REPO

HERE = "tests/test_ops/test_kernels.py"
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cuda" if torch.cuda.is_available() and not INTERPRETED else "cpu"
pytestmark = pytest.mark.skipif(torch.__version__ < "2.7", reason="needs torch 2.7")
MASKS = ["none", "one", "some", "all"]
# Streams, products: plain models, and autocast over a float32 stream.
DTYPES = [
    (torch.float32, torch.float32),
    (torch.bfloat16, torch.bfloat16),
    (torch.float32, torch.bfloat16),
    (torch.float16, torch.float16),
]
TOLERANCE = {
    torch.float32: dict(atol=1e-5, rtol=1e-5),
    torch.bfloat16: dict(atol=6e-2, rtol=2e-2),
    torch.float16: dict(atol=8e-3, rtol=4e-3),
}
SHAPE = 2, 13, 24, 40  # B, N, C, H: no multiples of any tile


@pytest.fixture(autouse=True)
def _fused(monkeypatch):
    """Ask for the kernels wherever they can run."""
    monkeypatch.setenv(FUSED_MLP, "1")


def make_mask(kind: str) -> torch.Tensor:
    batch, tokens = SHAPE[:2]
    mask = torch.zeros(batch, tokens, dtype=torch.bool)
    if kind == "one":
        mask[1, 4] = True
    elif kind != "none":
        mask = torch.rand(batch, tokens) < (0.5 if kind == "some" else 2)
    return mask.to(DEVICE)


def make_mlp(dtype: torch.dtype) -> list[torch.Tensor]:
    """Weights and biases of a LayerNorm and two linear maps."""
    width, hidden = SHAPE[2:]
    shapes = [(width,), (width,), (hidden, width), (hidden,), (width, hidden), (width,)]
    return [torch.randn(shape, device=DEVICE).to(dtype) / shape[-1] ** 0.5 for shape in shapes]


def torch_path(x, out, mask, weights, dtype):
    """Gather, run torch's own functions, scatter."""
    ln_weight, ln_bias, *linears = weights
    w1, b1, w2, b2 = (weight.to(dtype) for weight in linears)
    indices = active_indices(mask)
    tokens = F.layer_norm(gather_tokens(x, indices), ln_weight.shape, ln_weight, ln_bias, 1e-6)
    values = F.linear(F.gelu(F.linear(tokens.to(dtype), w1, b1)), w2, b2)
    return scatter_add_tokens(out.clone(), indices, values)


def run_fused(x, out, mask, weights, dtype):
    out = out.clone()
    ln_weight, ln_bias, *linears = weights
    fused_mlp(x, out, *compact_indices(mask), ln_weight, ln_bias, 1e-6, *linears, dtype)
    return out


@pytest.mark.parametrize("kind", MASKS)
def test_compaction_finds_the_active_tokens_in_a_fixed_shape(kind):
    mask = make_mask(kind)
    indices, count = compact_indices(mask)
    assert indices.shape == (mask.numel(),)
    assert int(count) == mask.sum()
    assert torch.equal(indices[: int(count)], active_indices(mask))
    assert not indices[int(count) :].any()


@pytest.mark.parametrize("dtypes", DTYPES, ids=str)
@pytest.mark.parametrize("kind", MASKS)
@torch.no_grad()
def test_equal_to_the_torch_path(kind, dtypes):
    """On a GPU and in the interpreter the kernels, elsewhere the operator's plain form."""
    stream, dtype = dtypes
    mask, weights = make_mask(kind), make_mlp(stream)
    # A mean and a channel far off, as the streams of ViTs have them.
    x = (torch.randn(*SHAPE[:3]) + 5).to(DEVICE, stream)
    x[..., 3] += 100
    out = torch.randn(*SHAPE[:3]).to(DEVICE, stream)
    fused = run_fused(x, out, mask, weights, dtype)
    torch.testing.assert_close(fused, torch_path(x, out, mask, weights, dtype), **TOLERANCE[dtype])
    assert torch.equal(fused[~mask], out[~mask])  # to the last bit
    assert not mask.any() or not torch.equal(fused[mask], out[mask])


@torch.no_grad()
def test_what_inactive_tokens_hold_does_not_matter():
    mask, weights = make_mask("some"), make_mlp(torch.float32)
    mask[0, 0] = False  # where unused indices point to
    x, out = torch.randn(2, *SHAPE[:3], device=DEVICE)
    expected = run_fused(x, out, mask, weights, torch.float32)
    x[~mask] = float("nan")
    assert torch.equal(run_fused(x, out, mask, weights, torch.float32), expected)


@pytest.mark.parametrize("inference", [torch.no_grad, torch.inference_mode])
def test_compiles_without_a_graph_break(inference):
    with inference():
        weights = make_mlp(torch.float32)
        x, out = torch.randn(2, *SHAPE[:3], device=DEVICE)
        compiled = torch.compile(run_fused, backend="aot_eager", fullgraph=True)
        for kind in MASKS:  # one graph for all of them
            mask = make_mask(kind)
            torch.testing.assert_close(
                compiled(x, out, mask, weights, torch.float32),
                torch_path(x, out, mask, weights, torch.float32),
            )


@pytest.mark.long
@pytest.mark.skipif(INTERPRETED or DEVICE == "cuda", reason="the kernels ran already")
def test_the_kernels_in_the_interpreter():
    """The tests above with the kernels, and a backbone that uses them in its layers."""
    pytest.importorskip("triton")
    chosen = "equal_to_the_torch_path or does_not_matter or fused_backbone"
    command = [sys.executable, "-m", "pytest", "-x", "-k", chosen, HERE]
    result = subprocess.run(
        [*command, "tests/test_models/test_compile.py"],
        cwd=REPO,
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "passed" in result.stdout


def signature(kernel, stream: str, product: str) -> dict[str, str]:
    """Types of a kernel's arguments, as Triton's ahead-of-time compiler wants them."""
    own = dict(hidden_ptr=f"*{product}", indices_ptr="*i64", count_ptr="*i32", eps="fp32")
    integers = dict.fromkeys(("width", "hidden_width", "size_class"), "i32")
    constants = dict.fromkeys(("PRECISION", "BLOCK_M", "BLOCK_N", "BLOCK_K"), "constexpr")
    return {name: (own | integers | constants).get(name, f"*{stream}") for name in kernel.arg_names}


@pytest.mark.skipif(INTERPRETED, reason="the interpreter compiles nothing")
@pytest.mark.parametrize(
    "name, stream, product",
    [("_norm_linear_gelu", "fp32", "bf16"), ("_linear_scatter_add", "fp32", "fp32")],
)
def test_compiled_for_a_gpu(name, stream, product):
    """Triton compiles for a GPU that is not there: its assembler accepts the kernels."""
    pytest.importorskip("triton")
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from mmdyt.ops.kernels import mlp_kernels

    kernel = getattr(mlp_kernels, name).fn
    tile = mlp_kernels.CONFIGS[-1]
    source = ASTSource(
        kernel, signature(kernel, stream, product), {"PRECISION": "ieee", **tile.kwargs}
    )
    compiled = triton.compile(source, target=GPUTarget("cuda", 80, 32))
    assert compiled.asm["cubin"]
    # bfloat16 goes to the tensor cores; float32 does not, where TF32 is not wanted.
    assert ("mma.sync" in compiled.asm["ptx"]) == (product == "bf16")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@torch.no_grad()
def test_a_cuda_graph_follows_the_mask():
    pytest.importorskip("triton")
    weights, mask = make_mlp(torch.float32), make_mask("some")
    x, out = torch.randn(2, *SHAPE[:3], device=DEVICE)
    assert has_fused_mlp(x.device)
    run_fused(x, out, mask, weights, torch.float32)  # chooses tiles, which a capture cannot
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = run_fused(x, out, mask, weights, torch.float32)
    for kind in MASKS:
        mask.copy_(make_mask(kind))
        graph.replay()
        expected = torch_path(x, out, mask, weights, torch.float32)
        torch.testing.assert_close(result, expected, **TOLERANCE[torch.float32])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@torch.no_grad()
def test_the_host_waits_for_nothing():
    pytest.importorskip("triton")
    weights, mask = make_mlp(torch.bfloat16), make_mask("some")
    x, out = torch.randn(2, *SHAPE[:3], device=DEVICE, dtype=torch.bfloat16)
    run_fused(x, out, mask, weights, torch.bfloat16)
    torch.cuda.set_sync_debug_mode("error")
    try:
        run_fused(x, out, mask, weights, torch.bfloat16)
    finally:
        torch.cuda.set_sync_debug_mode("default")
