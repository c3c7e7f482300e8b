"""mmdyt: Dynamic Tuning of frozen vision transformers in OpenMMLab."""

import importlib
from importlib.util import find_spec

from mmdyt.compat import heal_mmcv_ops
from mmdyt.package_files import serve_config_bases

__version__ = "0.1.0"

__all__ = ["__version__", "load_adapter", "save_adapter"]

serve_config_bases()
if find_spec("mmdet") is not None:
    heal_mmcv_ops()


def __getattr__(name: str):
    """Import the two functions when they are asked for: they need the whole stack."""
    if name in ("load_adapter", "save_adapter"):
        return getattr(importlib.import_module("mmdyt.engine.adapter_checkpoint"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
