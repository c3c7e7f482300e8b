"""mmdyt: Dynamic Tuning of frozen vision transformers in OpenMMLab."""

from importlib.util import find_spec

from mmdyt.compat import heal_mmcv_ops

__version__ = "0.1.0"

if find_spec("mmdet") is not None:
    heal_mmcv_ops()
