"""Adapters: small trainable modules beside a frozen branch."""

from mmdyt.models.adapters.bottleneck_adapter import BottleneckAdapter

__all__ = ["BottleneckAdapter"]
