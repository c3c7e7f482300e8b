"""Attention where a CPU trains in bfloat16."""

import torch
import torch.nn.functional as F

from mmdyt.ops import attention


def qkv(dtype):
    torch.manual_seed(0)
    return [torch.randn(2, 3, 7, 8).to(dtype).requires_grad_() for _ in range(3)]


def test_training_in_bfloat16_attends_in_float32():
    ours, wide = qkv(torch.bfloat16), qkv(torch.bfloat16)
    bias = torch.randn(7, 7).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        out = attention(*ours, attn_mask=bias)
    expected = F.scaled_dot_product_attention(*(tensor.float() for tensor in (*wide, bias)))
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out, expected.to(torch.bfloat16), rtol=0, atol=0)
    out.float().square().sum().backward()
    expected.to(torch.bfloat16).float().square().sum().backward()
    for tensor, other in zip(ours, wide):
        torch.testing.assert_close(tensor.grad, other.grad, rtol=0, atol=0)


def test_elsewhere_it_is_torchs():
    mask = torch.rand(7, 7) > 0.3
    for dtype, grad in [(torch.float32, True), (torch.bfloat16, False)]:
        with torch.set_grad_enabled(grad):
            out = attention(*qkv(dtype), attn_mask=mask)
            expected = F.scaled_dot_product_attention(*qkv(dtype), attn_mask=mask)
        torch.testing.assert_close(out, expected, rtol=0, atol=0)
