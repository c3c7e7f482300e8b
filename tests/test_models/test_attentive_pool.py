"""One query over the tokens of all frames."""

import pytest
import torch

from mmdyt.models.heads import AttentivePool


def test_shapes_and_number_of_scores():
    pool = AttentivePool(32, num_frames=4, num_heads=4)
    tokens = torch.randn(3, 4, 7, 32)
    assert pool(tokens).shape == (3, 32)
    # No (T * N) x (T * N) matrix: one row of scores a head.
    query = pool.norm_q(pool.query)
    _, scores = pool.attn(query, tokens.flatten(1, 2)[:1], tokens.flatten(1, 2)[:1])
    assert scores.shape == (1, 1, 4 * 7)


def test_memory_grows_linearly_with_the_frames():
    def saved_elements(num_frames: int) -> int:
        pool = AttentivePool(32, num_frames, num_heads=4)
        saved = []

        def pack(tensor):
            saved.append(tensor.numel())
            return tensor

        tokens = torch.randn(1, num_frames, 50, 32, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            pool(tokens)
        assert max(saved) <= num_frames * 50 * 32
        return sum(saved)

    at_8, at_16, at_32 = (saved_elements(num_frames) for num_frames in (8, 16, 32))
    assert (at_32 - at_16) == 2 * (at_16 - at_8)


def test_order_of_frames_matters_and_order_of_patches_does_not():
    pool = AttentivePool(32, num_frames=4, num_heads=4).double()
    torch.nn.init.normal_(pool.temporal_embed)
    tokens = torch.randn(2, 4, 7, 32, dtype=torch.float64)
    pooled = pool(tokens)
    assert not torch.allclose(pooled, pool(tokens.flip(1)))
    torch.testing.assert_close(pooled, pool(tokens.flip(2)))
    torch.nn.init.zeros_(pool.temporal_embed)
    torch.testing.assert_close(pool(tokens), pool(tokens.flip(1)))


def test_every_parameter_learns():
    pool = AttentivePool(32, num_frames=4, num_heads=4)
    (pool(torch.randn(3, 4, 7, 32)) * torch.randn(32)).sum().backward()
    for name, param in pool.named_parameters():
        assert param.grad is not None and param.grad.isfinite().all(), name
    assert pool.query.grad.any() and pool.temporal_embed.grad.any()


def test_heads_must_divide_the_channels():
    with pytest.raises(ValueError, match=r"cls_head.num_heads=5 .*in_channels=32"):
        AttentivePool(32, num_frames=4, num_heads=5)
