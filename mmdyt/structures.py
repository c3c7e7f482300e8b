"""What a token dispatcher decided, and which tokens a branch works on, as data."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class DispatchRecord:
    """One decision of one dispatcher on one batch.

    Args:
        layer: Position of the layer in its backbone, counted from 0.
        branch: The dispatched branch: ``'attn'``, ``'mlp'`` or ``'layer'``.
        mask: Which of the ``N`` tokens of ``B`` images are active,
            ``(B, N)``, prefix tokens included. In training a float mask of
            zeros and ones with the straight-through gradient, otherwise bool.
        logits: What the dispatcher computed, ``(B, N)``, or ``None`` where it
            was not asked (complete mode).
        num_prefix: Leading tokens that are always active and not counted in
            the rate. Defaults to 0.
        extra: Further statistics of the adapter, such as router weights of a
            MoE-adapter. Defaults to an empty dict.
        mode: The pass that it comes from, a mode of
            :func:`mmdyt.models.utils.dispatch_mode`: ``'dynamic'``,
            ``'complete'`` or ``'masked'``. Defaults to ``'dynamic'``.
        padded: Whether the branch has attention among the active tokens that
            ran at the full length ``N``, as it does outside of plain CPU
            execution (see :mod:`mmdyt.ops.varlen_attention`). Defaults to
            ``False``.
        module: Dotted name of the layer in the model whose records were
            collected, such as ``'backbone.layers.3'``. Defaults to ``''``.
    """

    layer: int
    branch: str
    mask: Tensor
    logits: Tensor | None
    num_prefix: int = 0
    extra: dict[str, Tensor] = field(default_factory=dict)
    mode: str = "dynamic"
    padded: bool = False
    module: str = ""

    def rate(self) -> Tensor:
        """Share of active tokens per image, prefix tokens not counted.

        Returns:
            ``(B,)``, float, with the gradient of the mask.
        """
        return self.mask[:, self.num_prefix :].float().mean(dim=1)

    def num_active(self) -> Tensor:
        """Active tokens per image, prefix tokens included.

        Returns:
            ``(B,)``, int64.
        """
        return self.mask.detach().bool().sum(dim=1)


@dataclass(frozen=True)
class TokenSelection:
    """The tokens that a branch works on.

    Args:
        mask: Active tokens, ``(B, N)``, bool.
        indices: Where the branch gets only the active tokens, ``(K, C)``,
            their positions in ``B * N``, ``(K,)``. Defaults to ``None``: it
            gets all of them, ``(B, N, C)``.
    """

    mask: Tensor
    indices: Tensor | None = None


@dataclass(frozen=True)
class Collector:
    """Where a layer puts its records.

    Args:
        records: The list that receives them.
        module: Name of the layer in the collecting model.
        all_passes: Whether it wants the complete pass of a loss too.
    """

    records: list[DispatchRecord]
    module: str
    all_passes: bool
