"""A method developer's view: one class and one registry line each."""

import pytest
import torch
from torch import Tensor, nn

from mmdyt.models.utils import collect_dispatch, trainable_names
from mmdyt.registry import MODELS
from tests.conftest import build, tiny_classifier
from tests.test_models.helpers import both_executions, train_step


@MODELS.register_module()
class ChannelAdapter(nn.Module):
    """Scales every channel; reports how much, in the records."""

    def __init__(self, embed_dims: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(embed_dims))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight

    def statistics(self, x: Tensor) -> dict[str, Tensor]:
        return {"strength": self.weight.norm()}


@MODELS.register_module()
class NormDispatcher(nn.Module):
    """Computes the tokens that stand out: those longer than their image's mean."""

    def __init__(self, embed_dims: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        length = x.norm(dim=-1)  # (B, N, C) -> (B, N)
        logits = length - length.mean(dim=1, keepdim=True) + self.bias
        hard, soft = logits >= 0, logits.sigmoid()
        return (hard + (soft - soft.detach()) if self.training else hard), logits


CONFIG = dict(
    adapter=dict(type="mmdyt.ChannelAdapter"), dispatcher=dict(type="mmdyt.NormDispatcher")
)


@pytest.mark.parametrize("dispatch", ["attn", "mlp", "attn_mlp", "layer"])
def test_own_classes_train_from_a_config(dispatch):
    model = build(tiny_classifier(backbone=dict(dispatch=dispatch, **CONFIG)))
    own = [name for name in trainable_names(model) if "adapter" in name or "dispatcher" in name]
    assert len(own) == (12 if dispatch == "attn_mlp" else 6)
    before = {name: model.get_parameter(name).clone() for name in own}
    losses = train_step(model, torch.randn(4, 3, 28, 28))
    assert {"dynamic.loss", "complete.loss", "distill_loss", "rate_loss"} <= losses.keys()
    for name in own:
        assert not torch.equal(before[name], model.get_parameter(name)), name


def test_own_classes_skip_and_record():
    backbone = build(tiny_classifier(backbone=CONFIG)).backbone
    for layer in backbone.layers:
        nn.init.normal_(layer.adapter["mlp"].weight)
    with collect_dispatch(backbone) as records:
        skipped, masked = both_executions(backbone, torch.randn(2, 3, 28, 28))
    torch.testing.assert_close(skipped, masked, atol=1e-5, rtol=1e-5)
    assert 0 < records[0].rate().mean() < 1 and records[0].extra["strength"] > 0
