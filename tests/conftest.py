"""Shared fixtures: small models that build in milliseconds."""

import pytest
import torch
from mmengine.registry import DefaultScope, init_default_scope

torch.set_num_threads(2)

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


def randomise_adapters(model: torch.nn.Module) -> None:
    """Give adapters weights that matter: fresh ones add exactly zero."""
    for name, param in model.named_parameters():
        if "adapter." in name:
            torch.nn.init.normal_(param, std=0.5)
