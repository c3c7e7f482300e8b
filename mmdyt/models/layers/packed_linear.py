"""Linear layers for inference on CPUs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmdyt.ops import autocasts_on_cpu, is_traced


class PackedLinear(nn.Linear):
    """A linear layer that holds its weight in oneDNN's blocked layout only.

    A plain product arranges the weight anew every time, which costs as much
    for few rows as for many: most where few tokens are left. Made out of
    ``nn.Linear`` by :func:`mmdyt.models.utils.pack_linears`, one way: there is
    no weight beside it that could change. Inference in float32 on a CPU is all
    that it can do.

    Attributes:
        packed (Tensor): The blocked weight.
    """

    packed: Tensor

    @classmethod
    def from_linear(cls, linear: nn.Linear) -> PackedLinear:
        """Convert a linear layer in place; hooks and the bias stay.

        Args:
            linear: A layer in float32 on the CPU.

        Returns:
            The same object, now of this class.
        """
        packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())
        del linear.weight
        linear.__class__ = cls
        assert isinstance(linear, cls)
        linear.packed = packed
        return linear.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., in_features)`` to ``(..., out_features)``.

        Raises:
            RuntimeError: In training, with a gradient, on another device, in
                another dtype, or while a graph is recorded.
        """
        if self.training or is_traced() or x.requires_grad or not _is_plain(x):
            raise RuntimeError(
                "pack_linears has made this model one for inference in float32 on a CPU, without "
                "gradients, autocast, torch.compile, torch.export or tracing, by which FLOPs are "
                "counted: keep a copy for the rest"
            )
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        raise RuntimeError(f"{prefix}weight is packed: load the checkpoint, then pack_linears")

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        raise RuntimeError(f"{prefix}weight is packed: save the model, then pack_linears")

    def __reduce_ex__(self, protocol):
        """Refuse to be copied or pickled, which the blocked weight cannot be."""
        raise TypeError("a packed model can be neither copied nor saved: do it before pack_linears")


def _is_plain(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype == torch.float32 and not autocasts_on_cpu()
