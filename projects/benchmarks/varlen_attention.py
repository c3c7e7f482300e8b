"""Time ways to attend within the segments of a packed sequence.

Every candidate does the work of :func:`mmdyt.ops.varlen_attention`, on the
active tokens of ViT-B (12 heads of 64) at an activation rate of 0.5. The
candidates alternate in one process, so that a busy machine slows all alike.
Not among them: nested tensors of jagged layout, which a CPU runs many times
slower, and flex attention, which a CPU has to compile for every length.

    python -m projects.benchmarks.varlen_attention --rounds 30
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
import torch.nn.functional as F
from rich.progress import track
from torch import Tensor

from mmdyt.ops import varlen_attention

SHAPES = ((1, 197), (8, 197), (32, 197), (2, 1024))


def buckets(q: Tensor, k: Tensor, v: Tensor, counts: Tensor) -> Tensor:
    """One batched attention a distinct length, no padding."""
    out = torch.empty_like(q)
    starts = counts.cumsum(0) - counts
    for length in counts.unique().tolist():
        steps = torch.arange(length, device=q.device)
        rows = (starts[counts == length, None] + steps).flatten()  # (b, n) -> (b * n,)
        a, b, c = (t[rows].unflatten(0, (-1, length)).transpose(1, 2) for t in (q, k, v))
        out[rows] = F.scaled_dot_product_attention(a, b, c).transpose(1, 2).flatten(0, 1)
    return out


def padded(q: Tensor, k: Tensor, v: Tensor, counts: Tensor) -> Tensor:
    """One batched attention, padded to the longest segment, keys masked."""
    valid = torch.arange(int(counts.max()), device=q.device) < counts[:, None]  # (B, n)
    full = q.new_zeros(3, *valid.shape, *q.shape[1:])  # (3, B, n, H, D)
    full[:, valid] = torch.stack([q, k, v])
    a, b, c = full.transpose(2, 3)
    out = F.scaled_dot_product_attention(a, b, c, attn_mask=valid[:, None, None, :])
    return out.transpose(1, 2)[valid]


CANDIDATES = {"loop": varlen_attention, "buckets": buckets, "padded": padded}


@torch.inference_mode()
def main() -> None:
    """Check that the candidates agree, then print median and quartiles in ms."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, help="timings of each candidate")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    for batch, tokens in SHAPES:
        counts = (torch.rand(batch, tokens) < 0.5).sum(1).to(args.device)
        q, k, v = torch.randn(3, int(counts.sum()), 12, 64, device=args.device)
        expected = varlen_attention(q, k, v, counts)
        times: dict[str, list[float]] = {name: [] for name in CANDIDATES}
        for _ in track(range(args.rounds), f"batch {batch}, {tokens} tokens", transient=True):
            for name, function in CANDIDATES.items():
                start = time.perf_counter()
                out = function(q, k, v, counts)
                torch.cuda.synchronize() if q.is_cuda else None
                times[name].append(1e3 * (time.perf_counter() - start))
                torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
        for name, values in times.items():
            low, median, high = statistics.quantiles(values, n=4)
            print(f"{batch:3d} x {tokens:4d}  {name:8s} {median:8.3f} ms  [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
