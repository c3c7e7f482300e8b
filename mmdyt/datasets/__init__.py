"""Data components that the OpenMMLab libraries lack."""

from mmdyt.datasets.check_seg_labels import CheckSegLabels
from mmdyt.datasets.gray_to_rgb import GrayToRGB
from mmdyt.datasets.json_split import JsonSplit
from mmdyt.datasets.svhn import SVHN
from mmdyt.datasets.video_clipwise import ClipwiseTransform

__all__ = ["SVHN", "CheckSegLabels", "ClipwiseTransform", "GrayToRGB", "JsonSplit"]
