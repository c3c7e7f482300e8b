"""Adapter-X: one library of adapters for all layers, an expert for every token."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import ModuleDict
from torch import Tensor, nn

from mmdyt.checks import check_integer, check_number
from mmdyt.models.adapters.base_adapter import BaseAdapter
from mmdyt.models.layers import TunedModule
from mmdyt.registry import MODELS


class ExpertLibrary(TunedModule):
    """The projections of ``E`` bottleneck adapters.

    Args:
        embed_dims: Width ``C`` of the stream.
        num_experts: Number ``E`` of experts.
        bottleneck_dims: Width ``d`` of each.
    """

    def __init__(self, embed_dims: int, num_experts: int, bottleneck_dims: int) -> None:
        super().__init__()
        self.down_weight = nn.Parameter(torch.empty(num_experts, bottleneck_dims, embed_dims))
        self.down_bias = nn.Parameter(torch.zeros(num_experts, bottleneck_dims))
        self.up_weight = nn.Parameter(torch.zeros(num_experts, bottleneck_dims, embed_dims))
        self.up_bias = nn.Parameter(torch.zeros(num_experts, embed_dims))
        for expert in self.down_weight:
            nn.init.kaiming_uniform_(expert, a=math.sqrt(5))


@MODELS.register_module()
class SharedMoEAdapter(BaseAdapter):
    """Every token takes one expert out of a library that all layers share.

    Adapter-X (arXiv 2406.03051). Published: one library for all blocks, from
    which each token picks in each block, and a norm of each block's own. Ours,
    as no code was released: ``u = LN(x)``, ``p = softmax(R u)``, the best expert
    ``j`` alone, ``scale * p_j * A_j(u)`` with a ReLU in the bottleneck, and the
    balance loss of Switch Transformer, ``E * sum_j f_j mean(p_j)`` with ``f_j``
    the share of tokens of expert ``j``, summed over the layers. Eight experts of
    width 4 are 147,488 parameters on ViT-B/16 (0.17 %; published: 0.20 % with a
    prompt generator, which is left out here). ``up`` starts at zero, so that a
    freshly built model equals its frozen backbone; ``p_j`` makes the first
    outputs about ``1 / E`` as large, and an expert that wins no token does not
    train: ``record.extra['experts']``, ``(B, E)``, has the shares.

    The library stands once on the backbone, as ``experts``, so that files hold
    it once. At these widths all experts as one bottleneck of ``E * d``, masked,
    cost less than to sort the tokens by expert.

    Args:
        embed_dims (int): Width ``C`` of the stream. The layer fills it in.
        num_experts (int): Number ``E`` of experts. Defaults to 8.
        bottleneck_dims (int): Width ``d`` of each expert. Defaults to 4.
        scale (float): Factor on the output. Defaults to 1.0.
        drop_rate (float): Dropout before ``up``. Defaults to 0.1.
        balance_weight (float): Weight of the balance loss. Defaults to 0.01.
        init_cfg (dict | None): Defaults to ``None``.

    Raises:
        ValueError: If a value is outside its range.
    """

    def __init__(
        self,
        embed_dims: int,
        num_experts: int = 8,
        bottleneck_dims: int = 4,
        scale: float = 1.0,
        drop_rate: float = 0.1,
        balance_weight: float = 0.01,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(embed_dims, bottleneck_dims, scale, drop_rate, "in", init_cfg)
        check_integer("adapter.num_experts", num_experts, "[1, inf)")
        check_number("adapter.balance_weight", balance_weight, "[0, inf)")
        self.shape = (embed_dims, num_experts, bottleneck_dims)
        self.balance_weight = balance_weight
        self.router = nn.Linear(embed_dims, num_experts, bias=False)
        self._library: tuple[ExpertLibrary, ...] = ()  # a tuple hides it from state_dict
        self._balance: list[Tensor] = []
        self.reset_parameters()

    def __getstate__(self) -> dict:
        """Leave the graph of the last pass out of copies, which torch would refuse."""
        return {**self.__dict__, "_balance": []}

    def reset_parameters(self) -> None:
        """Truncated-normal ``router``; the library draws itself."""
        nn.init.trunc_normal_(self.router.weight, std=0.02)

    def attach(self, layer: nn.Module, backbone: Any) -> None:
        """Share the backbone's library, one for each width of its layers."""
        if not hasattr(backbone, "experts"):
            backbone.experts = ModuleDict()
        width = str(self.shape[0])
        if width not in backbone.experts:
            backbone.experts[width] = ExpertLibrary(*self.shape)
        self._library = (backbone.experts[width],)

    def route(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Choose an expert for every token.

        Args:
            x: Token stream, ``(B, N, C)``.

        Returns:
            ``LN(x)``, ``(B, N, C)``; the probabilities ``p`` and the choice,
            one-hot, both ``(B, N, E)``.
        """
        u = self.norm_in(x)
        p = self.router(u).softmax(dim=-1)
        return u, p, F.one_hot(p.argmax(dim=-1), p.shape[-1]).to(p.dtype)

    def statistics(self, x: Tensor) -> dict[str, Tensor]:
        """What the records say of this adapter: ``experts``, shares of tokens, ``(B, E)``."""
        return {"experts": self.route(x)[2].mean(dim=1)}

    def forward(self, x: Tensor) -> Tensor:
        """Adapt every token by its expert.

        Args:
            x: Token stream, ``(B, N, C)``.

        Returns:
            What to add to the stream, ``(B, N, C)``.

        Raises:
            RuntimeError: If no backbone has given it a library.
        """
        if not self._library:
            raise RuntimeError("SharedMoEAdapter needs attach(layer, backbone) first")
        library = self._library[0]
        u, p, chosen = self.route(x)
        if self.training and torch.is_grad_enabled():
            shares, means = (each.flatten(0, 1).mean(dim=0) for each in (chosen, p))  # (E,)
            self._balance = [len(shares) * (shares * means).sum()]
        gate = (chosen * p * self.scale).unsqueeze(-1)  # (B, N, E, 1)
        # All experts side by side: (C, E * d).
        hidden = F.linear(u, library.down_weight.flatten(0, 1), library.down_bias.flatten())
        hidden = self.drop(self.act(hidden)).unflatten(-1, library.down_bias.shape) * gate
        out = hidden.flatten(-2) @ library.up_weight.flatten(0, 1)  # (B, N, E * d) -> (B, N, C)
        return out + gate.squeeze(-1) @ library.up_bias

    def extra_losses(self) -> dict[str, Tensor]:
        """Give, and forget, the balance loss of the last pass in training."""
        found, self._balance = self._balance, []
        return {"balance_loss": self.balance_weight * found[0]} if found else {}
