"""Data components that the OpenMMLab libraries lack."""

from mmdyt.datasets.gray_to_rgb import GrayToRGB

__all__ = ["GrayToRGB"]
