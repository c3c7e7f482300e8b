"""The variants of Dynamic Tuning, as data (paper section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """Where a variant puts its adapters and dispatchers.

    Args:
        branches: The residual branches that the layer runs, in order.
        adapted: Those with an adapter beside them.
        dispatched: Those with a dispatcher before them.
    """

    branches: tuple[str, ...]
    adapted: tuple[str, ...]
    dispatched: tuple[str, ...]


VARIANTS: dict[str | None, Variant] = {
    None: Variant(("attn", "mlp"), adapted=("mlp",), dispatched=()),
    "mlp": Variant(("attn", "mlp"), adapted=("mlp",), dispatched=("mlp",)),
    "attn": Variant(("attn", "mlp"), adapted=("attn",), dispatched=("attn",)),
    "attn_mlp": Variant(("attn", "mlp"), adapted=("attn", "mlp"), dispatched=("attn", "mlp")),
    "layer": Variant(("layer",), adapted=("layer",), dispatched=("layer",)),
}
