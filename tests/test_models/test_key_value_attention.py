"""Prefixes: trained keys and values beside those of the tokens."""

import pytest
import torch
import torch.nn.functional as F
from mmpretrain.models.utils import MultiheadAttention
from torch import nn

from mmdyt.models.layers import KeyValueAttention

B, N, C, H, M = 2, 7, 24, 3, 4


def attention(**args):
    torch.manual_seed(0)
    return KeyValueAttention.from_attention(MultiheadAttention(C, H), M, **args).eval()


def by_hand(attn, x, keys, values):
    """Attention on explicitly concatenated keys and values, one image and head at a time."""
    qkv = attn.qkv(x).reshape(B, N, 3, H, C // H)
    out = torch.empty(B, N, H, C // H)
    for b in range(B):
        for h in range(H):
            q, k, v = qkv[b, :, :, h].unbind(1)
            k, v = torch.cat([keys[b, h], k]), torch.cat([values[b, h], v])
            out[b, :, h] = (q @ k.T / (C // H) ** 0.5).softmax(dim=-1) @ v
    return attn.proj(out.flatten(2))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("gate", ["none", "token", "mean"])
@torch.no_grad()
def test_it_is_attention_on_concatenated_keys_and_values(gate, shared):
    attn = attention(gate=gate, shared=shared, layer_scale=True)
    attn.prefix.scale.fill_(1.7)
    nn.init.normal_(attn.prefix.tokens)
    x = torch.randn(B, N, C)
    prefix = 1.7 * attn.prefix.tokens.expand(B, -1 if not shared else 1, H, M, C // H)
    if gate != "none":
        read = x[:, 0] if gate == "token" else x.mean(1)
        prefix = (
            torch.sigmoid(read @ attn.prefix.gate.proj.weight.T)[:, None, None, :, None] * prefix
        )
    expected = by_hand(attn, x, prefix[:, 0], prefix[:, -1])
    assert attn(x).shape == x.shape
    torch.testing.assert_close(attn(x), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_prefix_of_zeros_still_takes_its_share():
    """It scales every head's output by S / (S + M)."""
    attn = attention()
    nn.init.zeros_(attn.prefix.tokens)
    attn.proj = nn.Identity()
    x = torch.randn(B, N, C)
    q, k, v = attn.qkv(x).reshape(B, N, 3, H, C // H).permute(2, 0, 3, 1, 4)
    mass = (q @ k.mT / (C // H) ** 0.5).exp().sum(-1, keepdim=True)  # S
    plain = F.scaled_dot_product_attention(q, k, v)
    expected = (plain * mass / (mass + M)).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attn(x), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_gates_are_an_image_s_own():
    attn = attention(gate="token")
    x = torch.randn(1, N, C).repeat(3, 1, 1)
    x[2] = torch.randn(N, C)
    alpha = attn.prefix.gate(10 * x)
    assert alpha.shape == (3, M) and ((alpha > 0) & (alpha < 1)).all()
    assert torch.equal(alpha[0], alpha[1]) and not torch.allclose(alpha[0], alpha[2])


@torch.no_grad()
def test_open_gates_and_a_scale_of_one_are_plain_prefix_tuning(monkeypatch):
    plain, gated = attention(), attention(gate="mean", layer_scale=True)
    gated.load_state_dict(plain.state_dict(), strict=False)
    monkeypatch.setattr(gated.prefix.gate, "forward", lambda x: torch.ones(len(x), M))
    x = torch.randn(B, N, C)
    torch.testing.assert_close(gated(x), plain(x))


def test_other_attentions_are_refused():
    with pytest.raises(TypeError, match="not KeyValueAttention"):
        KeyValueAttention.from_attention(attention(), M)
