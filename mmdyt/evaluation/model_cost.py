"""Build a config's model for counting only, and count its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, init_default_scope
from mmengine.utils import to_2tuple
from torch import nn

from mmdyt.models.utils import dispatched_layers

DEFAULT_IMG_SIZE = 224  # of mmpretrain's backbones


@dataclass(frozen=True)
class ParameterCount:
    """Numbers of parameters of a model.

    Args:
        total: All of them.
        trainable: Those that training changes, the head's included.
        adapters: Those of adapters, routers of a MoE-adapter included.
        dispatchers: Those of token dispatchers.
    """

    total: int
    trainable: int
    adapters: int
    dispatchers: int


def count_parameters(model: nn.Module) -> ParameterCount:
    """Count parameters by their part in Dynamic Tuning."""

    def number(parameters: Iterable[nn.Parameter]) -> int:
        return sum(parameter.numel() for parameter in parameters)

    layers = dispatched_layers(model)
    return ParameterCount(
        total=number(model.parameters()),
        trainable=number(p for p in model.parameters() if p.requires_grad),
        adapters=sum(number(layer.adapter.parameters()) for layer in layers),
        dispatchers=sum(number(layer.dispatcher.parameters()) for layer in layers),
    )


def build_uninitialised(cfg: Config) -> nn.Module:
    """Build the model of a config with the weights its constructors draw.

    ``init_weights`` is not called, so that no checkpoint is read or missed.

    Args:
        cfg: A config with ``model``; ``default_scope`` defaults to
            ``'mmpretrain'``.

    Returns:
        The model, on the CPU.
    """
    init_default_scope(cfg.get("default_scope", "mmpretrain"))
    model = cfg.model.copy()
    if "data_preprocessor" in cfg:  # as mmengine's runner hands it over
        model.setdefault("data_preprocessor", cfg.data_preprocessor)
    return MODELS.build(model)


def sample_shape(cfg: Config, size: tuple[int, int] | None = None) -> tuple[int, ...]:
    """Shape of one preprocessed sample of a config's model.

    Args:
        cfg: A config with ``model``.
        size: Height and width in pixels. Defaults to ``None``: the backbone's
            ``img_size``, or 224.

    Returns:
        ``(3, H, W)``, or ``(T, 3, H, W)`` where the training pipeline samples
        the ``T`` frames of a clip.
    """
    backbone = cfg.model.get("backbone", cfg.model)
    backbone = backbone.get("module", backbone)  # LoRA wraps it
    height, width = size or to_2tuple(backbone.get("img_size", DEFAULT_IMG_SIZE))
    image = (3, height, width)
    loader = cfg.get("train_dataloader") or {}
    samplers = [node for node in _dicts(loader.get("dataset")) if "clip_len" in node]
    if not samplers:
        return image
    return (samplers[0]["clip_len"] * samplers[0].get("num_clips", 1), *image)


def _dicts(node: Any) -> Iterator[ConfigDict]:
    if isinstance(node, dict):
        yield node  # type: ignore[misc]
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from _dicts(child)
