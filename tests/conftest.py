"""Shared fixtures: small models that build in milliseconds."""

import os
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

import pytest
import submitit  # noqa: F401  its import closes every log handler: absl's would take stderr along
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope

from mmdyt.datasets.digits import write_digits

torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)

REPO = Path(__file__).parent.parent
CONFIGS = REPO / "configs"
PROJECTS = REPO / "projects"
HAS_MMDET = find_spec("mmdet") is not None  # requirements/detection.txt

TINY_ARCH = dict(embed_dims=32, num_layers=3, num_heads=4, feedforward_channels=64)


@pytest.fixture(autouse=True)
def _seeded_default_scope():
    """Every test starts in mmpretrain's scope with the same seed."""
    torch.manual_seed(0)
    init_default_scope("mmpretrain")
    yield
    DefaultScope._instance_dict.clear()


def tiny_backbone(**overrides) -> dict:
    """Config of a 3-layer DyTViT on 28 x 28 px with patch 4: 49 + 1 tokens."""
    return dict(type="mmdyt.DyTViT", arch=TINY_ARCH, img_size=28, patch_size=4) | overrides


def tiny_classifier(backbone: dict | None = None, **overrides) -> dict:
    """Config of a classifier over :func:`tiny_backbone` with 10 classes."""
    return (
        dict(
            type="mmdyt.DyTImageClassifier",
            backbone=tiny_backbone(**(backbone or {})),
            head=dict(type="LinearClsHead", num_classes=10, in_channels=32),
            dyt=dict(target_rate=0.5),
        )
        | overrides
    )


def build(config: dict):
    """Build a model from a config in mmpretrain's scope."""
    from mmpretrain.registry import MODELS

    return MODELS.build(config)


@cache
def tiny_selection(structured: str) -> str:
    """A file of what SPT trains of :func:`tiny_backbone`, chosen by random scores."""
    from mmdyt.models.utils.sensitivity import backbone_parts, save_selection, select

    backbone = build(tiny_backbone(dispatch=None, adapter=None))
    parts = backbone_parts(backbone)
    names = {part.tensor for part in parts.values()}
    params = {name: p for name, p in backbone.named_parameters() if name in names}
    torch.manual_seed(0)
    scores = {name: torch.rand(p.shape) * 10 ** torch.randn(()) for name, p in params.items()}
    grid = [500 * step for step in range(1, 30)]
    (found,) = select(scores, parts, [0.0025], 32, structured, rank=2, thresholds=grid)
    file = Path(mkdtemp()) / f"{structured}.safetensors"
    shapes = {name: list(p.shape) for name, p in params.items()}
    save_selection(file, found, structured=structured, rank=2, shapes=shapes)
    return str(file)


def randomise_adapters(model: torch.nn.Module) -> None:
    """Give adapters weights that matter: fresh ones add exactly zero."""
    for name, param in model.named_parameters():
        if "adapter." in name:
            torch.nn.init.normal_(param, std=0.5)


@pytest.fixture(scope="session")
def digits_root(tmp_path_factory) -> Path:
    """Real digits in VTAB's layout, written once per session."""
    root = tmp_path_factory.mktemp("digits")
    write_digits(root)
    return root


@pytest.fixture
def digits_cfg(digits_root, tmp_path) -> Config:
    """As :func:`short_run`, below the test's own folder."""
    return short_run(digits_root, tmp_path / "run")


def short_run(digits_root: Path, work_dir: Path) -> Config:
    """A run of seconds on 40 + 20 real digits, with a tiny DyTViT from scratch."""
    cfg = Config.fromfile(CONFIGS / "image/digits/vit-mini_dyt-fixed_digits.py")
    cfg.merge_from_dict(
        dict(
            work_dir=str(work_dir),
            log_level="ERROR",
            model=dict(backbone=dict(arch=TINY_ARCH, init_cfg=None), head=dict(in_channels=32)),
            train_dataloader=dict(
                batch_size=10, dataset=dict(data_root=str(digits_root), indices=40)
            ),
            val_dataloader=dict(
                batch_size=10, dataset=dict(data_root=str(digits_root), indices=20)
            ),
            test_dataloader=dict(
                batch_size=10, dataset=dict(data_root=str(digits_root), indices=20)
            ),
            train_cfg=dict(max_epochs=2, val_interval=1),
            default_hooks=dict(logger=dict(interval=1)),
        )
    )
    # Without yapf, which would lay the config out anew for every checkpoint and log.
    return Config(cfg.to_dict(), cfg.text, cfg.filename, cfg.env_variables, False)


@pytest.fixture
def zoo(monkeypatch) -> None:
    """Stand in for mmpretrain's downloads: files of the right names with random weights."""
    from mmengine.runner.checkpoint import CheckpointLoader
    from mmpretrain import get_model, list_models
    from mmpretrain.apis.model import ModelHub

    def download(filename: str, *args, **kwargs) -> dict:
        named = {ModelHub._models_dict[name].weights: name for name in list_models()}
        return dict(state_dict=get_model(named[filename]).state_dict())

    monkeypatch.setitem(CheckpointLoader._schemes, "https://", download)


@pytest.fixture
def run_main(monkeypatch) -> Callable[..., None]:
    """Call a tool's ``main`` with a command line, in this process: imports take seconds."""
    monkeypatch.setenv("COLUMNS", "150")  # the tables of rich fit

    def run(main: Callable[[], None], *args: object) -> None:
        monkeypatch.setattr(sys, "argv", [main.__module__, *map(str, args)])
        main()

    return run


SMALL_SUITE = """
title, metric, seeds = "Small", "accuracy/top1", [0]
tasks = {{"digits": dict(group="natural")}}
killed = dict(type="mmdyt.EndingHook", at=6, how="kill")
methods = {{
    "fine": dict(config="{config}"),
    "killed-once": dict(
        config="{config}", cfg_options={{"custom_hooks.5": dict(killed, once="{once}")}}
    ),
    "killed-always": dict(config="{config}", cfg_options={{"custom_hooks.5": killed}}),
    "wrong": dict(config="{config}", cfg_options={{"optim_wrapper.optimizer.lr": "high"}}),
}}
"""


@pytest.fixture
def suite(digits_cfg, tmp_path) -> str:
    """A suite of four methods: fine, killed once, always killed, wrong."""
    digits_cfg.pop("work_dir")
    imports = dict(imports=["tests.test_engine.ending_hook"], allow_failed_imports=False)
    digits_cfg.custom_imports = imports
    digits_cfg.custom_hooks.append(dict(type="mmdyt.EndingHook", at=-1))
    digits_cfg.dump(tmp_path / "tiny.py")
    text = SMALL_SUITE.format(config=tmp_path / "tiny.py", once=tmp_path / "once")
    (tmp_path / "small.py").write_text(text)
    return str(tmp_path / "small.py")
