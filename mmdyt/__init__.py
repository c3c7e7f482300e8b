"""mmdyt: Dynamic Tuning of frozen vision transformers in OpenMMLab."""

import importlib
from importlib.util import find_spec

from mmengine.config.utils import MODULE2PACKAGE

from mmdyt.compat import heal_mmcv_ops

__version__ = "0.1.0"

__all__ = ["__version__", "load_adapter", "save_adapter", "set_budget"]

MODULE2PACKAGE["mmdyt"] = "mmdyt"  # _base_ = "mmdyt::image/digits/vit-mini_dyt_digits.py"

if find_spec("mmdet") is not None:
    heal_mmcv_ops()


_LAZY = {
    "load_adapter": "mmdyt.engine.adapter_checkpoint",
    "save_adapter": "mmdyt.engine.adapter_checkpoint",
    "set_budget": "mmdyt.models.utils.budget",
}


def __getattr__(name: str):
    """Import a function when it is asked for: it needs the whole stack."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
