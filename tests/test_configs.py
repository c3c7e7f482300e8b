"""Every config builds its model, and runs one tiny forward and backward pass."""

import pytest
from mmengine.config import Config

from tests.conftest import CONFIGS

LEAVES = sorted(
    path for path in CONFIGS.rglob("*.py") if "_base_" not in path.relative_to(CONFIGS).parts
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
