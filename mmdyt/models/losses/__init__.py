"""Losses of Dynamic Tuning, as pure functions."""

from mmdyt.models.losses.logit_distill_loss import logit_distill_loss
from mmdyt.models.losses.token_rate_loss import activation_rate, token_rate_loss

__all__ = ["activation_rate", "logit_distill_loss", "token_rate_loss"]
