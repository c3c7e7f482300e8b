"""A transform that gives greyscale images three channels."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform

from mmdyt.registry import TRANSFORMS


@TRANSFORMS.register_module()
class GrayToRGB(BaseTransform):
    """Repeat a greyscale image over three channels.

    mmpretrain's ``MNIST`` and ``FashionMNIST`` deliver arrays of shape
    ``(H, W)``, while pre-trained ViTs, mmsegmentation and mmaction2 work on
    three channels. An image that has three channels passes unchanged.

    Required and modified key: ``img``, from ``(H, W)`` or ``(H, W, 1)`` to
    ``(H, W, 3)``.

    Raises:
        ValueError: If ``img`` has a shape other than the three above.
    """

    def transform(self, results: dict) -> dict:
        """Replace ``results['img']`` by its three-channel form."""
        img = results["img"]
        if img.ndim == 2:
            img = img[..., None]
        if img.ndim != 3 or img.shape[-1] not in (1, 3):
            raise ValueError(
                f"GrayToRGB takes an image of shape (H, W), (H, W, 1) or (H, W, 3), "
                f"got {results['img'].shape}"
            )
        if img.shape[-1] == 1:
            results["img"] = np.repeat(img, 3, axis=-1)
        return results
