"""mmdyt: Dynamic Tuning of frozen vision transformers in OpenMMLab."""

__version__ = "0.1.0"
