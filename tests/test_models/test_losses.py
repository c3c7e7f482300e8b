"""The losses have the value and the gradient of the paper's formulas."""

import torch
import torch.nn.functional as F

from mmdyt.models.losses import activation_rate, logit_distill_loss, token_rate_loss
from mmdyt.ops import gumbel_sigmoid
from mmdyt.structures import DispatchRecord

TAU, TARGET = 5.0, 0.3


def soft_mask(logits):
    """S of equation 4 with the noise that ``gumbel_sigmoid`` draws after seed 0."""
    torch.manual_seed(0)
    uniform = torch.rand_like(logits.float()).double()
    return torch.sigmoid((logits + uniform.log() - torch.log1p(-uniform)) / TAU)


def test_rate_loss_gradient_is_that_of_the_soft_mask():
    logits = torch.randn(2, 9, dtype=torch.float64)
    leaf = logits.float().requires_grad_()
    torch.manual_seed(0)
    mask = gumbel_sigmoid(leaf, TAU)
    assert set(mask.detach().unique().tolist()) <= {0.0, 1.0}
    rate = activation_rate([DispatchRecord(0, "mlp", mask, leaf, num_prefix=1)])
    token_rate_loss(rate, TARGET).backward()

    step, expected = 1e-5, torch.zeros_like(logits)
    outer = 2 * (mask[:, 1:].mean().item() - TARGET)
    for index in range(logits.numel()):
        moved = [logits.clone(), logits.clone()]
        moved[0].view(-1)[index] += step
        moved[1].view(-1)[index] -= step
        up, down = (soft_mask(each)[:, 1:].mean() for each in moved)
        expected.view(-1)[index] = outer * (up - down) / (2 * step)
    torch.testing.assert_close(leaf.grad.double(), expected, atol=1e-6, rtol=1e-4)
    assert not leaf.grad[:, 0].any(), "the prefix is not counted"


def test_rate_is_one_mean_over_dispatchers_and_images():
    masks = [torch.tensor([[1.0, 1, 1], [1, 0, 0]]), torch.tensor([[1.0, 0, 0], [1, 0, 0]])]
    records = [DispatchRecord(i, "mlp", mask, None, num_prefix=1) for i, mask in enumerate(masks)]
    assert activation_rate(records).item() == 0.25
    torch.testing.assert_close(token_rate_loss(torch.tensor(0.25), 0.5), torch.tensor(0.0625))


def test_distillation_is_batchmean_kl_and_spares_the_teacher():
    student = torch.randn(4, 10, requires_grad=True)
    teacher = torch.randn(4, 10, requires_grad=True)
    loss = logit_distill_loss(student, teacher)
    inputs = F.log_softmax(student, 1), F.log_softmax(teacher, 1)
    torch.testing.assert_close(loss, F.kl_div(*inputs, reduction="batchmean", log_target=True))
    loss.backward()
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None
    assert logit_distill_loss(student, student).item() == 0


def test_distillation_does_not_grow_with_the_image():
    student, teacher = torch.randn(2, 5, 1, 1), torch.randn(2, 5, 1, 1)
    small = logit_distill_loss(student, teacher)
    large = logit_distill_loss(student.expand(2, 5, 8, 8), teacher.expand(2, 5, 8, 8))
    torch.testing.assert_close(small, large)
