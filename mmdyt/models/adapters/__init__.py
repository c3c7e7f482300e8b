"""Adapters: small trainable modules beside a frozen branch."""

from mmdyt.models.adapters.base_adapter import BaseAdapter
from mmdyt.models.adapters.bottleneck_adapter import BottleneckAdapter
from mmdyt.models.adapters.dynamic_adapter import DynamicAdapter
from mmdyt.models.adapters.input_conditioned_adapter import InputConditionedAdapter
from mmdyt.models.adapters.moe_adapter import MoEAdapter
from mmdyt.models.adapters.shared_moe_adapter import ExpertLibrary, SharedMoEAdapter

__all__ = [
    "BaseAdapter",
    "BottleneckAdapter",
    "DynamicAdapter",
    "ExpertLibrary",
    "InputConditionedAdapter",
    "MoEAdapter",
    "SharedMoEAdapter",
]
