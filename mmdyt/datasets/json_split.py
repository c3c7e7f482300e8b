"""Image sets whose splits are JSON files, as the VPT line of work has them."""

from __future__ import annotations

import json
from pathlib import Path

from mmpretrain.datasets import BaseDataset

from mmdyt.registry import DATASETS


@DATASETS.register_module()
class JsonSplit(BaseDataset):
    """Read ``<data_root>/<split>.json``: an object of image path to class.

    CUB-200-2011, NABirds, Oxford Flowers, Stanford Dogs and Stanford Cars come
    in this form with VPT (Jia et al., ECCV 2022). Their class numbers start at
    0 or at 1, and those of NABirds have gaps; names work as well. So the labels
    are the ranks of the sorted classes of ``train.json``, in every split.
    VPT ranks each split by itself, which is the same where every split holds
    every class.

    Args:
        data_root (str): Folder of the JSON files.
        split (str): Which of them. Defaults to ``'train'``.
        data_prefix (str): Folder of the images below ``data_root``. Defaults
            to ``''``.
        **kwargs: As mmpretrain's ``BaseDataset``.

    Raises:
        FileNotFoundError: If ``train.json`` or the split's file is missing.
        ValueError: If a file is not an object of paths, or has classes that
            ``train.json`` lacks.
    """

    def __init__(
        self, data_root: str, split: str = "train", data_prefix: str = "", **kwargs
    ) -> None:
        super().__init__(
            ann_file=f"{split}.json", data_root=data_root, data_prefix=data_prefix, **kwargs
        )

    def load_data_list(self) -> list[dict]:
        """List the images of the split with their labels."""
        path = Path(self.ann_file)
        classes = sorted(set(_read(path.with_name("train.json")).values()))
        label = {each: rank for rank, each in enumerate(classes)}
        samples = _read(path)
        if unknown := sorted(set(samples.values()) - set(label)):
            raise ValueError(
                f"{path}: {len(unknown)} classes are not in train.json: {unknown[:5]}; "
                "the two are of different versions of the data set"
            )
        return [
            dict(img_path=str(Path(self.img_prefix, name)), gt_label=label[each])
            for name, each in samples.items()
        ]


def _read(path: Path) -> dict:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: JsonSplit needs data_root with train.json")
    samples = json.loads(path.read_text())
    if not isinstance(samples, dict) or not samples:
        raise ValueError(f"{path} must hold an object of image path to class")
    return samples
