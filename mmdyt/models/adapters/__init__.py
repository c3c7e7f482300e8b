"""Adapters: small trainable modules beside a frozen branch."""

from mmdyt.models.adapters.base_adapter import BaseAdapter
from mmdyt.models.adapters.bottleneck_adapter import BottleneckAdapter
from mmdyt.models.adapters.moe_adapter import MoEAdapter

__all__ = ["BaseAdapter", "BottleneckAdapter", "MoEAdapter"]
