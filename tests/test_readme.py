"""The README's config is one that builds."""

import re

import torch
from mmengine.config import Config
from PIL import Image

import mmdyt
from mmdyt.models.utils import trainable_names
from tests.conftest import REPO, TINY_ARCH, build, tiny_classifier


def test_the_config_of_the_readme_builds(tmp_path):
    blocks = re.findall(r"```python\n(_base_.*?)```", (REPO / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 1
    (tmp_path / "config.py").write_text(blocks[0])
    cfg = Config.fromfile(tmp_path / "config.py")
    cfg.model.backbone.arch = "deit-tiny"  # as deep, and quick to build
    cfg.model.head.in_channels = 192
    model = build(cfg.model)
    assert model.backbone.init_cfg["checkpoint"] == "vit-b16.pth"
    assert all(
        ".adapter." in name or ".dispatcher." in name or name.startswith("head.")
        for name in trainable_names(model)
    )


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
