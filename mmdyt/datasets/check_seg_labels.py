"""A transform that refuses segmentation masks which do not fit."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform

from mmdyt.registry import TRANSFORMS


@TRANSFORMS.register_module()
class CheckSegLabels(BaseTransform):
    """Stop at a mask with unknown labels or of another size than its image.

    A label outside the classes otherwise ends in an assertion on the GPU that
    names no file, and a mask of another size in silently shifted labels. Put it
    after ``LoadAnnotations``.

    Required keys: ``gt_seg_map``, ``ori_shape``, ``seg_map_path``. Nothing is
    modified.

    Args:
        num_classes (int): Labels must lie in ``[0, num_classes)``.
        ignore_index (int): A label that is allowed beside them. Defaults to 255.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        self.num_classes = num_classes
        self.ignore_index = ignore_index

    def transform(self, results: dict) -> dict:
        """Check the mask.

        Raises:
            ValueError: Naming the file, and the sizes or the labels.
        """
        mask, path = results["gt_seg_map"], results["seg_map_path"]
        # Test pipelines load the mask after the image was resized.
        if mask.shape != tuple(results["ori_shape"][:2]):
            raise ValueError(
                f"{path}: the mask is {mask.shape} (H, W), its image "
                f"{results.get('img_path', '')} is {tuple(results['ori_shape'][:2])}"
            )
        labels = np.unique(mask)
        bad = labels[(labels >= self.num_classes) & (labels != self.ignore_index)]
        if len(bad):
            raise ValueError(
                f"{path}: labels {bad.tolist()[:10]} are outside the {self.num_classes} classes "
                f"[0, {self.num_classes - 1}] and not ignore_index={self.ignore_index}; see "
                f"num_classes of the config and reduce_zero_label of the data set"
            )
        return results
