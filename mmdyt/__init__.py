"""mmdyt: Dynamic Tuning of frozen vision transformers in OpenMMLab."""

import importlib
from importlib.util import find_spec

from mmdyt.compat import heal_mmcv_ops

__version__ = "0.1.0"

__all__ = ["AdapterBank", "__version__", "load_adapter", "save_adapter"]

# Imported when they are asked for: they need the whole stack.
_LAZY = {
    "AdapterBank": "mmdyt.engine.adapter_bank",
    "load_adapter": "mmdyt.engine.adapter_checkpoint",
    "save_adapter": "mmdyt.engine.adapter_checkpoint",
}

if find_spec("mmdet") is not None:
    heal_mmcv_ops()


def __getattr__(name: str):
    """Import a public name."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
