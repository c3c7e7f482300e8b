"""What a model costs and how well it does."""

from mmdyt.evaluation.branch_cost import BranchCost, branch_cost, module_cost
from mmdyt.evaluation.flops import CostAccount
from mmdyt.evaluation.model_cost import (
    ParameterCount,
    build_uninitialised,
    count_parameters,
    sample_shape,
)

__all__ = [
    "BranchCost",
    "CostAccount",
    "ParameterCount",
    "branch_cost",
    "build_uninitialised",
    "count_parameters",
    "module_cost",
    "sample_shape",
]
