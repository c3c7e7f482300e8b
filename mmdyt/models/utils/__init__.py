"""Tools that act on a built model."""

from mmdyt.models.utils.budget import set_budget, set_capacity, set_shift
from mmdyt.models.utils.capture import capture
from mmdyt.models.utils.dispatch_mode import (
    collect_dispatch,
    dispatch_mode,
    dispatched_layers,
    hide_pass,
)
from mmdyt.models.utils.freeze import (
    added_modules,
    added_names,
    set_trainable,
    trainable_names,
)
from mmdyt.models.utils.merge import merged
from mmdyt.models.utils.norm_statistics import keep_norm_statistics
from mmdyt.models.utils.pack_linears import pack_linears

__all__ = [
    "added_modules",
    "added_names",
    "capture",
    "collect_dispatch",
    "dispatch_mode",
    "dispatched_layers",
    "hide_pass",
    "keep_norm_statistics",
    "merged",
    "pack_linears",
    "set_budget",
    "set_capacity",
    "set_shift",
    "set_trainable",
    "trainable_names",
]
