"""Attention among active tokens, packed and masked."""

import pytest
import torch
import torch.nn.functional as F

from mmdyt.ops import active_indices, masked_attention, padded_attention, varlen_attention

H, D = 3, 8


@pytest.mark.parametrize(
    "counts", [[4], [3, 7, 1], [2, 0, 5, 0], [6, 6], [0]], ids=lambda counts: str(counts)
)
def test_segments_attend_to_themselves_only(counts):
    q, k, v = torch.randn(3, sum(counts), H, D)
    out = varlen_attention(q, k, v, torch.tensor(counts))
    image = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    same = image[:, None] == image
    a, b, c = (t.transpose(0, 1) for t in (q, k, v))  # (H, K, D)
    expected = F.scaled_dot_product_attention(a, b, c, attn_mask=same).transpose(0, 1)
    torch.testing.assert_close(out, expected, atol=1e-6, rtol=1e-5)


def test_masked_and_packed_attention_agree_on_active_tokens():
    mask = torch.rand(4, 11) < 0.5
    q, k, v = torch.randn(3, 4, 11, H, D)
    packed = varlen_attention(q[mask], k[mask], v[mask], mask.sum(1))
    torch.testing.assert_close(masked_attention(q, k, v, mask)[mask], packed, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("rate", [0, 0.5, 1])
def test_padding_changes_nothing(rate):
    mask = torch.rand(4, 11) < rate
    q, k, v = torch.randn(3, 4, 11, H, D)[:, mask]  # (K, H, D) each
    out = padded_attention(q, k, v, mask, active_indices(mask))
    torch.testing.assert_close(out, varlen_attention(q, k, v, mask.sum(1)), atol=1e-6, rtol=1e-5)


def test_an_inactive_query_sees_the_active_tokens_and_itself():
    mask = torch.tensor([[True, False, True, False]])
    q, k, v = torch.randn(3, 1, 4, H, D)
    alone = mask.clone()
    alone[0, 1] = True
    expected = masked_attention(q, k, v, alone)[:, 1]
    torch.testing.assert_close(masked_attention(q, k, v, mask)[:, 1], expected)


def test_with_no_active_token_every_query_sees_itself():
    q, k, v = torch.randn(3, 2, 5, H, D)
    out = masked_attention(q, k, v, torch.zeros(2, 5, dtype=torch.bool))
    torch.testing.assert_close(out, v)
