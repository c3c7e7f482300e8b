"""What a model costs and how well it does."""

from mmdyt.evaluation.branch_cost import BranchCost, branch_cost, module_cost
from mmdyt.evaluation.flops import CostAccount

__all__ = ["BranchCost", "CostAccount", "branch_cost", "module_cost"]
