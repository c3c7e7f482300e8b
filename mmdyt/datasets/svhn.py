"""Street View House Numbers, which mmpretrain lacks."""

from __future__ import annotations

from pathlib import Path

from mmpretrain.datasets import BaseDataset
from scipy.io import loadmat

from mmdyt.registry import DATASETS

SPLITS = ("train", "test", "extra")


@DATASETS.register_module()
class SVHN(BaseDataset):
    """Read the cropped digits, ``<data_root>/<split>_32x32.mat``, into memory.

    Images are RGB arrays under ``img``, as those of mmpretrain's ``CIFAR10``:
    a pipeline needs no ``LoadImageFromFile``. The files call the digit 0 class
    10; here it is label 0.

    Args:
        data_root (str): Folder of the files.
        split (str): ``'train'`` (73,257 images), ``'test'`` (26,032) or
            ``'extra'`` (531,131). Defaults to ``'train'``.
        **kwargs: As mmpretrain's ``BaseDataset``.

    Raises:
        ValueError: If ``split`` is none of these.
        FileNotFoundError: If the file is missing.
    """

    METAINFO = dict(classes=tuple("0123456789"))

    def __init__(self, data_root: str, split: str = "train", **kwargs) -> None:
        if split not in SPLITS:
            raise ValueError(f"dataset.split={split!r} is unknown; choose one of {list(SPLITS)}")
        super().__init__(ann_file=f"{split}_32x32.mat", data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict]:
        """List the images, ``(32, 32, 3)`` uint8, with their labels."""
        if not Path(self.ann_file).is_file():
            raise FileNotFoundError(f"{self.ann_file} is missing: SVHN's cropped digits (Format 2)")
        mat = loadmat(self.ann_file)
        images = mat["X"].transpose(3, 0, 1, 2)  # (H, W, 3, B) -> (B, H, W, 3)
        labels = mat["y"].ravel() % 10  # (B, 1) -> (B,)
        return [dict(img=img, gt_label=int(label)) for img, label in zip(images, labels)]
