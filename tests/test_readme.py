"""The README's config builds, and trains as it is written."""

import re

import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmdyt.fileio import save_safetensors
from mmdyt.models.utils import trainable_names
from tests.conftest import CONFIGS, REPO, build
from tools import train

WEIGHTS = "checkpoints/vit-b16_in21k.safetensors"


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The README's config as a file in a folder of its own, from which it runs."""
    (text,) = re.findall(
        r"```python\n(_base_.*?)```", (REPO / "README.md").read_text(), re.DOTALL
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_config.py").write_text(text)
    return "my_config.py"


def test_the_config_of_the_readme_is_the_shipped_one(config):
    cfg = Config.fromfile(config)
    shipped = Config.fromfile(CONFIGS / "image/custom/vit-b16_dyt_custom.py")
    for key in ("model", "data_preprocessor", "train_dataloader", "test_dataloader"):
        assert cfg[key].to_dict() == shipped[key].to_dict(), key
    assert cfg.model.backbone.init_cfg.checkpoint == WEIGHTS
    cfg.model.backbone.arch = "deit-tiny"  # as deep, and quick to build
    cfg.model.head.in_channels = 192
    assert all(
        ".adapter." in name or ".dispatcher." in name or name.startswith("head.")
        for name in trainable_names(build(cfg.model))
    )


@pytest.mark.long
def test_the_config_of_the_readme_trains_as_written(config, tmp_path, run_main):
    for split in ("train", "val"):
        for index, name in enumerate(("cat", "dog")):
            folder = tmp_path / "data/custom" / split / name
            folder.mkdir(parents=True)
            Image.new("RGB", (300, 260), (200 * index, 90, 0)).save(folder / "0.jpg")
    plain = build(dict(type="VisionTransformer", arch="base", img_size=224, patch_size=16))
    weights = {f"backbone.{name}": value for name, value in plain.state_dict().items()}
    save_safetensors(WEIGHTS, weights, {})
    run_main(
        train.main,
        config,
        *("--work-dir", "run", "--cfg-options"),
        *("train_cfg.max_epochs=2", "train_cfg.val_interval=2", "train_dataloader.num_workers=0"),
        *("val_dataloader.num_workers=0", "test_dataloader.num_workers=0"),
    )
    trained = torch.load("run/epoch_2.pth", weights_only=True)["state_dict"]
    assert trained["head.fc.weight"].shape == (2, 768)
    assert trained["backbone.cls_token"].equal(weights["backbone.cls_token"])
    assert (tmp_path / "run/adapter.safetensors").stat().st_size < 10 * 2**20
