"""SVHN's cropped digits, in the form of the published files."""

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS
from scipy.io import savemat

from tests.conftest import CONFIGS


@pytest.fixture
def root(tmp_path):
    """Five images whose brightness is their place; the files' labels run from 1 to 10."""
    images = np.broadcast_to(np.arange(5, dtype=np.uint8) * 10, (32, 32, 3, 5)).copy()
    images[..., 0, :] += 1  # red is a little brighter
    for split in ("train", "test"):
        savemat(tmp_path / f"{split}_32x32.mat", dict(X=images, y=[[1], [9], [10], [5], [10]]))
    return tmp_path


def test_images_stay_with_their_labels_and_zero_is_zero(root):
    dataset = DATASETS.build(dict(type="mmdyt.SVHN", data_root=str(root)))
    assert list(dataset.get_gt_labels()) == [1, 9, 0, 5, 0]
    assert dataset.CLASSES[9] == "9"
    for index in range(5):
        image = dataset.get_data_info(index)["img"]
        assert image.shape == (32, 32, 3) and image.dtype == np.uint8
        assert (image[..., 0] == index * 10 + 1).all() and (image[..., 1:] == index * 10).all()


def test_the_config_reads_both_splits(root):
    config = Config.fromfile(CONFIGS / "image/svhn/vit-b16_dyt_8xb128_svhn.py")
    for loader in (config.train_dataloader, config.test_dataloader):
        sample = DATASETS.build({**loader.dataset, "data_root": str(root)})[3]
        assert sample["inputs"].shape == (3, 224, 224)
        # RGB stays RGB: the preprocessor must not swap what was never BGR.
        assert sample["inputs"][:, 100, 100].tolist() == [31, 30, 30]
        assert sample["data_samples"].gt_label.item() == 5
    assert config.data_preprocessor.to_rgb is False


def test_unknown_splits_and_missing_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"split='val' is unknown; choose one of \['train'"):
        DATASETS.build(dict(type="mmdyt.SVHN", data_root=str(tmp_path), split="val"))
    with pytest.raises(FileNotFoundError, match=r"extra_32x32\.mat is missing"):
        DATASETS.build(dict(type="mmdyt.SVHN", data_root=str(tmp_path), split="extra"))
