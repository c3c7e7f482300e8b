"""One mixed projection equals the mixture of the experts' projections."""

import torch

from mmdyt.ops import mixed_linear

B, N, E, C, D = 3, 5, 4, 6, 2


def test_mixing_weights_equals_mixing_outputs():
    x, alpha = torch.randn(B, N, C), torch.randn(B, E)
    weight, bias = torch.randn(E, D, C), torch.randn(E, D)
    outputs = torch.einsum("bni,eoi->beno", x, weight) + bias[:, None]  # (B, E, N, D)
    expected = (alpha[:, :, None, None] * outputs).sum(1)
    torch.testing.assert_close(mixed_linear(x, alpha, weight, bias), expected, atol=1e-5, rtol=1e-5)


def test_it_runs_under_autocast():
    x, alpha = torch.randn(B, N, C), torch.randn(B, E)
    weight, bias = torch.randn(E, D, C), torch.randn(E, D)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = mixed_linear(x, alpha, weight, bias)
    torch.testing.assert_close(
        out.float(), mixed_linear(x, alpha, weight, bias), atol=0.2, rtol=0.05
    )
