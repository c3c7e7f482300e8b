"""Dispatchers: which tokens a branch computes."""

from mmdyt.models.dispatchers.random_dispatcher import RandomDispatcher
from mmdyt.models.dispatchers.sample_dispatcher import SampleDispatcher
from mmdyt.models.dispatchers.token_dispatcher import TokenDispatcher

__all__ = ["RandomDispatcher", "SampleDispatcher", "TokenDispatcher"]
