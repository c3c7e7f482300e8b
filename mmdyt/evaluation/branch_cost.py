"""What a dispatched branch costs, as a function of its active tokens.

Costs follow the convention of the paper's figures, which is fvcore's: a
multiply-add counts once, a LayerNorm five operations an element (four without
affine parameters), element-wise operations nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Any, TypeVar

from torch import Tensor, nn

Count = TypeVar("Count", int, Tensor)


@dataclass(frozen=True)
class BranchCost:
    """Cost ``per_token * n + per_pair * n**2`` of a branch on ``n`` tokens.

    Args:
        per_token (int): FLOPs a token: linear maps and norms. Defaults to 0.
        per_pair (int): FLOPs a query-key pair: the products of attention.
            Defaults to 0.
    """

    per_token: int = 0
    per_pair: int = 0

    def __add__(self, other: BranchCost) -> BranchCost:
        return BranchCost(self.per_token + other.per_token, self.per_pair + other.per_pair)

    def __call__(self, num_tokens: Count) -> Count:
        """FLOPs on so many tokens of one image.

        Args:
            num_tokens: A number, or an integer tensor of any shape.

        Returns:
            FLOPs, of the type and shape of ``num_tokens``.
        """
        return self.per_token * num_tokens + self.per_pair * num_tokens**2


def module_cost(module: nn.Module) -> BranchCost:
    """Cost of a module whose linear maps and norms run once a token.

    Everything inside is counted, so that an MLP with gates (SwiGLU) or linear
    maps with a low-rank part (LoRA) need no case of their own. A module that
    computes more than its linear maps and norms says so in an attribute
    ``flops_per_token``.

    Args:
        module: An MLP, the projections of an attention, a norm.

    Returns:
        Its cost; only ``per_token`` is set.
    """
    flops = 0
    for part in module.modules():
        if isinstance(part, nn.Linear):
            flops += part.in_features * part.out_features
        elif isinstance(part, nn.LayerNorm):
            width = part.normalized_shape[-1]
            flops += width * (5 if part.elementwise_affine else 4)
        flops += getattr(part, "flops_per_token", 0)
    return BranchCost(per_token=flops)


@singledispatch
def branch_cost(layer: Any, branch: str) -> BranchCost:
    """Cost of one branch of a layer, read off the layer's own modules.

    This fits every layer with mmpretrain's names (``norm1``, ``attn``,
    ``norm2``, ``ffn``). A layer that is built otherwise registers its own
    function, ``branch_cost.register(MyLayer, my_function)``.

    Args:
        layer (nn.Module): A dispatched layer.
        branch: ``'attn'``, ``'mlp'`` or ``'layer'``.

    Returns:
        The cost of the branch on ``n`` tokens of one image.

    Raises:
        ValueError: If ``branch`` is none of these.
    """
    if branch == "attn":
        # Every query meets every key twice: q k^T and the mean of the values.
        products = BranchCost(per_pair=2 * layer.attn.embed_dims)
        return module_cost(layer.norm1) + module_cost(layer.attn) + products
    if branch == "mlp":
        return module_cost(layer.norm2) + module_cost(layer.ffn)
    if branch == "layer":
        return branch_cost(layer, "attn") + branch_cost(layer, "mlp")
    raise ValueError(
        f"the cost of branch {branch!r} of {type(layer).__name__} is unknown: "
        f"the branches are 'attn', 'mlp', 'layer'; others need branch_cost.register"
    )
