"""Selecting tokens and putting them back."""

import torch
from hypothesis import given

from mmdyt.ops import (
    active_indices,
    gather_tokens,
    keep_prefix,
    masked_branch,
    scatter_add_tokens,
)
from tests.strategies import decisions


@given(decision=decisions())
def test_gather_branch_scatter_equals_masking(decision):
    """No active token is an ordinary case."""
    x, mask = decision.stream(8), keep_prefix(decision.mask, decision.num_prefix)
    assert torch.equal(mask, decision.active)
    indices = active_indices(mask)
    skipped = scatter_add_tokens(x.clone(), indices, gather_tokens(x, indices).tanh())
    torch.testing.assert_close(skipped, x + masked_branch(x.tanh(), mask))


def test_scatter_takes_half_precision_values_into_a_float_stream():
    x = torch.zeros(1, 3, 2)
    scatter_add_tokens(x, torch.tensor([2]), torch.ones(1, 2, dtype=torch.bfloat16))
    assert x.tolist() == [[[0, 0], [0, 0], [1, 1]]]


def test_prefix_tokens_are_active_and_have_no_gradient():
    mask = torch.zeros(2, 5, requires_grad=True)
    kept = keep_prefix(mask, 2)
    assert kept[:, :2].min() == 1 and kept[:, 2:].max() == 0
    kept.sum().backward()
    assert mask.grad[:, :2].max() == 0 and mask.grad[:, 2:].min() == 1
