"""Linear layers for inference on CPUs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmdyt.ops import is_traced


class PackedLinear(nn.Linear):
    """``nn.Linear`` with a second copy of its weight in oneDNN's blocked layout.

    A plain product arranges the weight anew every time, which costs as much
    for few rows as for many: most where few tokens are left. Used where no
    gradient is wanted, in float32 on a CPU; anywhere else it is ``nn.Linear``.
    Names of parameters stay, and a weight that changes is packed again.
    :func:`mmdyt.models.utils.pack_linears` makes them.

    Attributes:
        packed (Tensor | None): The blocked weight.
        packed_from (tuple[Tensor, int] | None): The weight that it was made of,
            kept so that no other gets its address, and its version.
    """

    packed: Tensor | None = None
    packed_from: tuple[Tensor, int] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., in_features)`` to ``(..., out_features)``."""
        if _needs_plain_product(x):
            return F.linear(x, self.weight, self.bias)
        if self.packed is None or not self._is_up_to_date():
            self.packed = torch.ops.mkldnn._reorder_linear_weight(self.weight)
            self.packed_from = (self.weight.detach(), self.weight._version)
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")

    def _is_up_to_date(self) -> bool:
        assert self.packed_from is not None
        source, version = self.packed_from
        return source.data_ptr() == self.weight.data_ptr() and version == self.weight._version

    def __getstate__(self) -> dict:
        """Leave the blocked weight out of copies and files, which cannot hold it."""
        return {**self.__dict__, "packed": None, "packed_from": None}


def _autocasts() -> bool:
    try:
        return torch.is_autocast_enabled("cpu")
    except TypeError:  # torch before 2.4
        return torch.is_autocast_cpu_enabled()


def _needs_plain_product(x: Tensor) -> bool:
    return (
        x.device.type != "cpu"
        or x.dtype != torch.float32
        or torch.is_grad_enabled()
        or _autocasts()
        or is_traced()
    )
