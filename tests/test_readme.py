"""The README's config builds, and trains as it is written."""

import re

import pytest
import torch
from mmengine.config import Config
from PIL import Image

import mmdyt
from mmdyt.fileio import save_safetensors
from mmdyt.models.utils import trainable_names
from tests.conftest import CONFIGS, REPO, TINY_ARCH, build, tiny_classifier
from tools import train

WEIGHTS = "checkpoints/vit-b16_in21k.safetensors"


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The README's config as a file in a folder of its own, from which it runs."""
    (text,) = re.findall(r"```python\n(_base_.*?)```", (REPO / "README.md").read_text(), re.DOTALL)
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
    trained = mmdyt.load_adapter("run/adapter.safetensors")
    assert trained.head.fc.weight.shape == (2, 768)
    assert trained.backbone.cls_token.equal(weights["backbone.cls_token"])
    assert (tmp_path / "run/adapter.safetensors").stat().st_size < 10 * 2**20


def test_the_python_of_the_readme_runs(zoo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pages = (REPO / "README.md").read_text()
    first, second = re.findall(r"```python\n((?:import|from) mmdyt.*?)```", pages, re.DOTALL)
    base = build(dict(type="VisionTransformer", arch=TINY_ARCH, img_size=28, patch_size=4))
    torch.save(base.state_dict(), tmp_path / "base.pth")
    init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "base.pth"))
    tiny = build(tiny_classifier(dict(init_cfg=init_cfg)))
    tiny.init_weights()
    pipeline = [dict(type="LoadImageFromFile"), dict(type="Resize", scale=28)]
    pipeline.append(dict(type="PackInputs"))
    mmdyt.save_adapter(tiny, "work_dirs/my_run/adapter.safetensors", test_pipeline=pipeline)
    Image.new("RGB", (30, 40)).save("photo.jpg")
    namespace: dict = {}
    exec(first, namespace)
    assert re.search(r"trainable params: [\d,]+ \|\|", capsys.readouterr().out)
    assert namespace["model"].head.fc.out_features == 10
    namespace["images"] = torch.zeros(1, 3, 224, 224)
    exec(second, namespace)
    assert len(namespace["records"]) == 12
