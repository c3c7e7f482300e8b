"""The learned token dispatcher."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdyt.checks import check_number
from mmdyt.ops import gumbel_sigmoid, hard_sigmoid
from mmdyt.registry import MODELS


@MODELS.register_module()
class TokenDispatcher(BaseModule):
    """Decide for every token whether the branch computes it.

    Paper section 3.2, equations 3-5: one linear map to a logit; in training a
    Gumbel-sigmoid with a straight-through gradient, in inference a threshold.

    Args:
        embed_dims (int): Width ``C`` of the stream. The layer fills it in.
        tau (float): Temperature of the Gumbel-sigmoid. Defaults to 5.0.
        threshold (float): Smallest probability that counts as active, in
            training, where noise is added to the logit, as in inference.
            Defaults to 0.5.
        init_cfg (dict | None): Defaults to ``None``.

    Raises:
        ValueError: If ``tau`` is not positive and finite, or ``threshold`` not in (0, 1).
    """

    def __init__(
        self,
        embed_dims: int,
        tau: float = 5.0,
        threshold: float = 0.5,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_number("dispatcher.tau", tau, "(0, inf)")
        check_number("dispatcher.threshold", threshold, "(0, 1)")
        self.tau = tau
        self.threshold = threshold
        self.proj = nn.Linear(embed_dims, 1)
        self._reset()

    def _reset(self) -> None:
        nn.init.trunc_normal_(self.proj.weight, std=0.02)
        nn.init.zeros_(self.proj.bias)

    def init_weights(self) -> None:
        """Initialise again: a parent's ``init_cfg`` may have overwritten it."""
        super().init_weights()
        self._reset()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Decide on every token.

        Args:
            x: Token stream, ``(B, N, C)``.

        Returns:
            The mask and the logits, both ``(B, N)``. The mask is float with
            the straight-through gradient in training, otherwise bool.
        """
        logits = self.proj(x).squeeze(-1)  # (B, N, 1) -> (B, N)
        if self.training:
            return gumbel_sigmoid(logits, self.tau, self.threshold), logits
        return hard_sigmoid(logits, self.threshold), logits
