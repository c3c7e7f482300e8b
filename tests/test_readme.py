"""The README's config is one that builds."""

import re

from mmengine.config import Config

from mmdyt.models.utils import trainable_names
from tests.conftest import REPO, build


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
