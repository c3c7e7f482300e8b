"""mmdyt: Dynamic Tuning of frozen vision transformers in OpenMMLab."""

import importlib
from importlib.util import find_spec

from mmdyt.compat import heal_mmcv_ops
from mmdyt.package_files import serve_config_bases

__version__ = "0.1.0"

# Imported when they are asked for: they need the whole stack.
LAZY = {
    "AdapterBank": "mmdyt.engine.adapter_bank",
    "dynamic_tuning": "mmdyt.engine.dynamic_tuning",
    "inferencer": "mmdyt.integrations.inferencers",
    "load_adapter": "mmdyt.engine.adapter_checkpoint",
    "save_adapter": "mmdyt.engine.adapter_checkpoint",
    "set_budget": "mmdyt.models.utils.budget",
}

__all__ = ["__version__", *LAZY]

serve_config_bases()
if find_spec("mmdet") is not None:
    heal_mmcv_ops()


def __getattr__(name: str):
    """Import what ``LAZY`` lists."""
    if name in LAZY:
        return getattr(importlib.import_module(LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List what is in ``LAZY`` too."""
    return sorted({*globals(), *LAZY})
