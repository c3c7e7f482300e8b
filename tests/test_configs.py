"""Every config builds its model, and runs one tiny forward and backward pass."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample

from tests.conftest import CONFIGS, build

LEAVES = sorted(
    path
    for path in CONFIGS.rglob("*.py")
    if not {"_base_", "suites"} & set(path.relative_to(CONFIGS).parts)
)


def test_there_are_configs():
    assert len(LEAVES) >= 5


@pytest.mark.parametrize("path", LEAVES, ids=[str(path.relative_to(CONFIGS)) for path in LEAVES])
def test_config_names_a_complete_run(path):
    cfg = Config.fromfile(path)
    for key in ("model", "train_dataloader", "test_dataloader", "optim_wrapper", "param_scheduler"):
        assert cfg.get(key), f"{path.name} has no {key}"
    assert cfg.default_scope
    assert path.read_text().startswith('"""'), f"{path.name} does not say what it is"


def shrink(model: dict) -> dict:
    """The same model, three layers deep, 32 wide, on 32 px, with random weights."""
    backbone = model["backbone"]
    inner = backbone.get("module", backbone)  # LoRA wraps the backbone
    inner.pop("init_cfg")
    inner["arch"] = dict(embed_dims=32, num_layers=3, num_heads=4, feedforward_channels=64)
    inner["img_size"], inner["patch_size"] = 32, 8
    model["head"]["in_channels"] = 32
    return model


IMAGE_LEAVES = [path for path in LEAVES if "image" in path.relative_to(CONFIGS).parts]


@pytest.mark.parametrize("path", IMAGE_LEAVES, ids=[path.stem for path in IMAGE_LEAVES])
def test_image_config_runs_forward_and_backward(path):
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    model = build(shrink(cfg.model))
    model.init_weights()
    model.train()
    samples = [DataSample().set_gt_label(index) for index in range(2)]
    total, _ = model.parse_losses(model.loss(torch.randn(2, 3, 32, 32), samples))
    total.backward()
    assert torch.isfinite(total)
    trained = [param for param in model.parameters() if param.requires_grad]
    assert trained
    assert all(param.grad is not None for param in trained)
