"""Fused ways to run a branch on active tokens only, for GPUs."""

from mmdyt.ops.kernels.fused_mlp import FUSED_MLP, compact_indices, fused_mlp, has_fused_mlp

__all__ = ["FUSED_MLP", "compact_indices", "fused_mlp", "has_fused_mlp"]
