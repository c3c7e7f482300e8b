"""What the training aims at: target rate and weights of the loss."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from mmdyt.checks import check_number


@dataclass(frozen=True)
class DyTObjective:
    """Targets and weights of the loss, the ``dyt`` dict of a model config.

    Paper section 3.5: ``L = L_task(dynamic) + L_task(complete) + L_distill +
    alpha * L_rate``.

    Args:
        target_rate: Wanted share ``r`` of active tokens, in (0, 1].
            Defaults to 0.5.
        rate_weight: Weight ``alpha`` of the rate loss. Defaults to 2.0.
        complete_weight: Weight of the complete model's task loss; 0 leaves it
            out. Defaults to 1.0.
        distill_weight: Weight of the distillation loss; 0 leaves it out.
            Defaults to 1.0.

    Raises:
        ValueError: If a value is outside its range.
    """

    target_rate: float = 0.5
    rate_weight: float = 2.0
    complete_weight: float = 1.0
    distill_weight: float = 1.0

    def __post_init__(self) -> None:
        check_number("model.dyt.target_rate", self.target_rate, "(0, 1]")
        for name in ("rate_weight", "complete_weight", "distill_weight"):
            check_number(f"model.dyt.{name}", getattr(self, name), "[0, inf)")

    def updated(self, config: dict | None) -> DyTObjective:
        """Copy with the values of a config dict, refusing keys that do not exist."""
        known = [field.name for field in fields(self)]
        for key in config or {}:
            if key not in known:
                raise ValueError(f"model.dyt.{key} is unknown; choose among {known}")
        return replace(self, **(config or {}))
