"""mmdyt: Dynamic Tuning of frozen vision transformers in OpenMMLab."""

import importlib
from importlib.util import find_spec

from mmengine.config.utils import MODULE2PACKAGE

from mmdyt.compat import heal_mmcv_ops

__version__ = "0.1.0"

__all__ = ["__version__", "load_adapter", "save_adapter"]

MODULE2PACKAGE["mmdyt"] = "mmdyt"  # _base_ = "mmdyt::image/digits/vit-mini_dyt_digits.py"

if find_spec("mmdet") is not None:
    heal_mmcv_ops()


def __getattr__(name: str):
    """Import the two functions when they are asked for: they need the whole stack."""
    if name in ("load_adapter", "save_adapter"):
        return getattr(importlib.import_module("mmdyt.engine.adapter_checkpoint"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
