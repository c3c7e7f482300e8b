"""Token merging: what stays the same, and who merges with whom."""

import pytest
import torch

from mmdyt.ops import bipartite_soft_matching, merge_tokens, proportional_attention


@pytest.mark.parametrize("r, left", [(0, 12), (3, 9), (5, 7), (99, 7)])
@pytest.mark.parametrize("num_prefix", [1, 2])
def test_merging_conserves_the_weighted_sum_and_leaves_the_prefix_alone(r, left, num_prefix):
    x, size = torch.randn(2, 12, 4).double(), torch.randint(1, 5, (2, 12)).double()
    matching = bipartite_soft_matching(x, r, num_prefix)
    merged, new_size = merge_tokens(x, size, matching)
    assert merged.shape == (2, left, 4)
    torch.testing.assert_close(new_size.sum(1), size.sum(1))
    torch.testing.assert_close((merged * new_size[..., None]).sum(1), (x * size[..., None]).sum(1))
    assert torch.equal(merged[:, :num_prefix], x[:, :num_prefix])
    assert torch.equal(new_size[:, :num_prefix], size[:, :num_prefix])


def test_the_most_similar_pair_merges_to_its_mean():
    x = torch.eye(7).unsqueeze(0)
    x[0, 4] = 2 * x[0, 3] + 0.01  # the only pair that points the same way
    matching = bipartite_soft_matching(x, 1, num_prefix=1)
    assert matching.merged.tolist() == [[4]]
    merged, size = merge_tokens(x, torch.ones(1, 7), matching)
    at = matching.kept[0].tolist().index(3)
    torch.testing.assert_close(merged[0, at], (x[0, 3] + x[0, 4]) / 2)
    assert size[0, at] == 2


def test_gradients_reach_every_token():
    x = torch.randn(2, 11, 4, requires_grad=True)
    merged, _ = merge_tokens(x, torch.ones(2, 11), bipartite_soft_matching(x, 4, 1))
    merged.square().sum().backward()
    assert (x.grad.abs().sum(-1) > 0).all()


def test_a_key_of_size_two_counts_as_two_equal_keys():
    q, k, v = torch.randn(3, 1, 4, 2, 8).unbind(0)
    sized = proportional_attention(q, k, v, torch.tensor([[1.0, 2.0, 1.0, 1.0]]))
    twice = [torch.cat([t, t[:, 1:2]], dim=1) for t in (k, v)]
    torch.testing.assert_close(sized, proportional_attention(q, *twice, torch.ones(1, 5)))
