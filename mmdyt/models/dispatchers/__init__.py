"""Dispatchers: which tokens a branch computes."""

from mmdyt.models.dispatchers.token_dispatcher import TokenDispatcher

__all__ = ["TokenDispatcher"]
