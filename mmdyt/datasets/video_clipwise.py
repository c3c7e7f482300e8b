"""Image augmentations on a clip: the same draw for all of its frames."""

from __future__ import annotations

import random

import numpy as np
from mmcv.transforms import BaseTransform, Compose
from mmengine.registry import DefaultScope

from mmdyt.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ClipwiseTransform(BaseTransform):
    """Run image transforms on every frame with the same random numbers.

    mmpretrain's RandAugment and its like act on ``img``; a clip must not shake
    because each frame drew its own rotation.

    Required and modified keys: ``imgs``, a list of ``T`` frames ``(H, W, 3)``,
    and ``img_shape``.

    Args:
        transforms (list[dict]): Image transforms of mmpretrain, such as
            ``dict(type='mmpretrain.RandAugment', ...)``.
    """

    def __init__(self, transforms: list[dict]) -> None:
        # RandAugment builds its policies by unprefixed types.
        with DefaultScope.overwrite_default_scope("mmpretrain"):
            self.transforms = Compose(transforms)

    def transform(self, results: dict) -> dict:
        """Transform the frames of ``results['imgs']`` alike."""
        state, np_state = random.getstate(), np.random.get_state()
        frames = []
        for frame in results["imgs"]:
            random.setstate(state)
            np.random.set_state(np_state)
            image = self.transforms(dict(img=frame, img_shape=frame.shape[:2]))
            frames.append(image["img"])
        return results | dict(imgs=frames, img_shape=frames[0].shape[:2])
