"""The sampled decision: its distribution and its gradient."""

import torch

from mmdyt.ops import gumbel_sigmoid, hard_sigmoid, logit


def test_values_are_exactly_zero_and_one_with_the_probability_of_the_logit():
    logits = torch.full((20_000,), 0.8)
    mask = gumbel_sigmoid(logits, tau=5.0)
    assert set(mask.tolist()) == {0.0, 1.0}
    # P(logit + logistic noise >= 0) = sigmoid(logit), whatever the temperature.
    assert abs(mask.mean() - torch.sigmoid(torch.tensor(0.8))) < 0.015


def test_gradient_is_that_of_the_soft_sample():
    logits = torch.randn(100, requires_grad=True)
    torch.manual_seed(3)
    gumbel_sigmoid(logits, tau=2.0).sum().backward()
    torch.manual_seed(3)
    uniform = torch.rand(100)
    soft = torch.sigmoid((logits.detach() + (uniform / (1 - uniform)).log()) / 2.0)
    torch.testing.assert_close(logits.grad, soft * (1 - soft) / 2.0)


def test_half_precision_logits_give_a_float32_mask_without_nan():
    logits = torch.randn(10_000, dtype=torch.bfloat16, requires_grad=True)
    mask = gumbel_sigmoid(logits, tau=0.1)
    mask.sum().backward()
    assert mask.dtype == torch.float32
    assert torch.isfinite(mask).all() and torch.isfinite(logits.grad).all()


def test_training_meets_the_rate_that_any_threshold_runs():
    """Whatever the temperature: the noisy logit is held to the threshold itself."""
    for threshold in (0.3, 0.5, 0.7):
        logits = torch.full((20_000,), logit(threshold))
        for tau in (0.1, 5.0):
            assert abs(gumbel_sigmoid(logits, tau, threshold).mean() - 0.5) < 0.015
        assert hard_sigmoid(logits + 1e-4, threshold).all()
        assert not hard_sigmoid(logits - 1e-4, threshold).any()


def test_without_noise_the_threshold_is_inclusive():
    assert hard_sigmoid(torch.tensor([-1e-3, 0.0, 1e-3])).tolist() == [False, True, True]
