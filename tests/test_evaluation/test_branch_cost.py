"""The analytic cost of a branch is what fvcore counts in the branch's modules."""

import pytest
import torch
from torch import nn

from mmdyt.evaluation import BranchCost, branch_cost, module_cost
from mmdyt.models.layers import DyTEncoderLayer
from mmdyt.models.utils import dispatch_mode
from tests.test_evaluation.counting import fvcore_count

LAYERS = {
    "narrow": dict(embed_dims=16, num_heads=2, feedforward_channels=24),
    "wide": dict(embed_dims=48, num_heads=6, feedforward_channels=192),
    "no qkv bias": dict(embed_dims=32, num_heads=4, feedforward_channels=64, qkv_bias=False),
    "swiglu": dict(embed_dims=32, num_heads=4, feedforward_channels=96, ffn_type="swiglu_fused"),
    "layer scale": dict(
        embed_dims=32, num_heads=4, feedforward_channels=64, layer_scale_init_value=0.1
    ),
    "plain norm": dict(
        embed_dims=32,
        num_heads=4,
        feedforward_channels=64,
        norm_cfg=dict(type="LN", elementwise_affine=False),
    ),
}


@pytest.mark.parametrize("layer_args", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("dispatch", ["mlp", "attn", "attn_mlp", "layer"])
def test_costs_equal_fvcore_on_the_masked_layer(layer_args, dispatch):
    layer = DyTEncoderLayer(**layer_args, dispatch=dispatch, num_prefix=1)
    layer.eval()
    num_tokens = 11
    with dispatch_mode(layer, "masked"):
        count = fvcore_count(layer, torch.rand(1, num_tokens, layer.embed_dims)).by_module()
    beside = count["adapter"] + count["dispatcher"]
    mlp = count["ln2"] + count["ffn"]

    assert branch_cost(layer, "mlp")(num_tokens) == mlp
    assert branch_cost(layer, "attn")(num_tokens) == count[""] - beside - mlp
    assert branch_cost(layer, "layer")(num_tokens) == count[""] - beside


def test_cost_takes_numbers_and_tensors_alike():
    cost = BranchCost(per_token=3, per_pair=2)
    assert cost(5) == 3 * 5 + 2 * 25
    assert cost(torch.tensor([0, 5])).tolist() == [0, cost(5)]


def test_low_rank_parts_of_a_linear_map_are_counted():
    lora = nn.ModuleDict(dict(whole=nn.Linear(8, 8), down=nn.Linear(8, 2), up=nn.Linear(2, 8)))
    assert module_cost(lora) == BranchCost(per_token=64 + 16 + 16)


class _Host(nn.Module):
    """A layer with names of its own."""

    def __init__(self):
        super().__init__()
        self.mixer = nn.Linear(4, 4, bias=False)


def test_a_foreign_layer_registers_its_cost():
    branch_cost.register(_Host, lambda layer, branch: module_cost(layer.mixer))
    assert branch_cost(_Host(), "mlp")(3) == 3 * 16


def test_unknown_branch_is_refused():
    with pytest.raises(ValueError, match=r"'conv' of DyTEncoderLayer"):
        branch_cost(DyTEncoderLayer(**LAYERS["narrow"]), "conv")
