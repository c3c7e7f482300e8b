"""What the training aims at: target rate and weights of the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from mmengine.dist import broadcast

from mmdyt.checks import check_number


@dataclass(frozen=True)
class DyTObjective:
    """Targets and weights of the loss, the ``dyt`` dict of a model config.

    Paper section 3.5: ``L = L_task(dynamic) + L_task(complete) + L_distill +
    alpha * L_rate``.

    Args:
        target_rate: Wanted share ``r`` of active tokens, in (0, 1]; or two of them,
            below 1, the smaller first: each step of the training draws its rate between
            them, and :func:`mmdyt.set_budget` chooses one afterwards. Defaults to 0.5.
        rate_weight: Weight ``alpha`` of the rate loss. Defaults to 2.0.
        complete_weight: Weight of the complete model's task loss; 0 leaves it
            out. Defaults to 1.0.
        distill_weight: Weight of the distillation loss; 0 leaves it out.
            Defaults to 1.0.

    Raises:
        ValueError: If a value is outside its range.
    """

    target_rate: float | Sequence[float] = 0.5
    rate_weight: float = 2.0
    complete_weight: float = 1.0
    distill_weight: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.target_rate, Sequence) and not isinstance(self.target_rate, str):
            rates = tuple(self.target_rate)
            for rate in rates:
                check_number("model.dyt.target_rate", rate, "(0, 1)")
            if len(rates) != 2 or rates[0] >= rates[1]:
                raise ValueError(
                    f"model.dyt.target_rate must be a rate or two of them, the smaller first, as "
                    f"(0.3, 0.9), got {self.target_rate!r}"
                )
            object.__setattr__(self, "target_rate", rates)  # a list, where it was read from JSON
        else:
            check_number("model.dyt.target_rate", self.target_rate, "(0, 1]")
        for name in ("rate_weight", "complete_weight", "distill_weight"):
            check_number(f"model.dyt.{name}", getattr(self, name), "[0, inf)")

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest rate of the training."""
        target = self.target_rate
        return (target[0], target[1]) if isinstance(target, Sequence) else (target, target)

    @property
    def middle(self) -> float:
        """The rate of the model as it is trained: the target, or the middle of its range."""
        return sum(self.ends) / 2

    def draw(self) -> float:
        """Draw the rate of a step, the same in all processes, small ones more often.

        By the square of a uniform number: the complete model trains the other end in
        every step, and few tokens need more training than many.

        Returns:
            A rate between the ends.
        """
        low, high = self.ends
        if low == high:
            return low
        share = torch.rand(())
        broadcast(share)
        return low + (high - low) * float(share) ** 2

    def updated(self, config: dict | None) -> DyTObjective:
        """Copy with the values of a config dict, refusing keys that do not exist."""
        known = [field.name for field in fields(self)]
        for key in config or {}:
            if key not in known:
                raise ValueError(f"model.dyt.{key} is unknown; choose among {known}")
        return replace(self, **(config or {}))
