"""The cost account equals fvcore's count for the baselines too."""

import pytest
import torch

from mmdyt.evaluation import CostAccount
from mmdyt.models.utils import collect_dispatch
from tests.conftest import build, tiny_backbone
from tests.test_evaluation.counting import fvcore_total

PLAIN = dict(dispatch=None, adapter=None)
LORA = dict(
    type="mmpretrain.LoRAModel",
    module=tiny_backbone(**PLAIN),
    rank=2,
    targets=[dict(type="qkv")],
)


@pytest.mark.parametrize(
    "config",
    [
        LORA,
        tiny_backbone(type="mmdyt.PromptedViT", num_prompts=3, prompt_depth="shallow", **PLAIN),
        tiny_backbone(type="mmdyt.PromptedViT", num_prompts=3, prompt_depth="deep", **PLAIN),
        tiny_backbone(type="mmdyt.PromptedViT", num_prompts=3, dispatch="mlp"),
        tiny_backbone(type="mmdyt.SSFViT", **PLAIN),
        tiny_backbone(type="mmdyt.ToMeViT", r=4, dispatch="mlp"),
        tiny_backbone(dispatch="mlp", adapter=None),
    ],
    ids=["lora", "vpt-shallow", "vpt-deep", "dyt-vpt", "ssf", "dyt-tome", "dynamic-full"],
)
def test_baseline_cost_equals_fvcore(config):
    model = build(config)
    for module in model.modules():
        module.training = False
    image = torch.randn(1, 3, 28, 28)
    with torch.no_grad(), collect_dispatch(model) as records:
        model(image)
    assert CostAccount(model).flops(records, image).item() == fvcore_total(model, image)
