"""What a model costs and how well it does."""

from mmdyt.evaluation.branch_cost import BranchCost, branch_cost, module_cost
from mmdyt.evaluation.flops import CostAccount
from mmdyt.evaluation.model_cost import (
    ParameterCount,
    build_uninitialised,
    count_parameters,
    sample_shape,
)
from mmdyt.evaluation.observe import BackbonePass, flops_of, observe_passes

__all__ = [
    "BackbonePass",
    "BranchCost",
    "CostAccount",
    "ParameterCount",
    "branch_cost",
    "build_uninitialised",
    "count_parameters",
    "flops_of",
    "module_cost",
    "observe_passes",
    "sample_shape",
]
