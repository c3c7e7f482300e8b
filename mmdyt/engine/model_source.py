"""What may be named as a plain model: a name of mmpretrain, a config, or a model."""

from __future__ import annotations

from copy import deepcopy
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.logging import print_log
from mmpretrain.apis.model import ModelHub, list_models
from torch import nn

from mmdyt.engine.built_classifier import config_of
from mmdyt.engine.test_pipeline import find_pipeline
from mmdyt.package_files import package_file


class ModelSource(NamedTuple):
    """A plain model, as it was named.

    Args:
        config: Config of the model.
        pipeline: How its config reads a test sample, where it says so.
        weights: Address of the weights that mmpretrain names, if any.
        name: What to call it in messages.
    """

    config: dict
    pipeline: list[dict] | None
    weights: str | None
    name: str


def read_source(model: Any) -> ModelSource:
    """Find out what a model is made of.

    Args:
        model: As the argument of :func:`mmdyt.dynamic_tuning`.

    Returns:
        What was found. Config files that come with mmdyt are found from any folder.

    Raises:
        TypeError: If ``model`` is of no such type.
        ValueError: If mmpretrain knows no such name, or the parts of a built model
            cannot be read back.
    """
    if isinstance(model, nn.Module):
        run = getattr(model, "_config", None) or {}
        config = _without_augments(config_of(model))
        return ModelSource(config, find_pipeline(run), None, type(model).__name__)
    weights, name = None, "the model"
    if isinstance(model, (str, PathLike)):
        name = str(model)
        if Path(name).suffix == ".py":
            model = Config.fromfile(package_file(name))
        else:
            known = ModelHub.get(_known_name(name))
            model, weights = known.config, known.weights
    if not isinstance(model, (Config, dict)):
        raise TypeError(
            "model must be a name of mmpretrain, a config or a built ImageClassifier, got "
            f"{type(model).__name__}"
        )
    run = deepcopy(dict(model))
    config = dict(run.get("model", run))
    if config.get("data_preprocessor") is None:
        config["data_preprocessor"] = run.get("data_preprocessor")
    return ModelSource(_without_augments(config), find_pipeline(run), weights, name)


def _without_augments(config: dict) -> dict:
    """Drop batch augmentations; mmpretrain moves them to the preprocessor when it builds."""
    (config.get("data_preprocessor") or {}).pop("batch_augments", None)
    return config


def _known_name(name: str) -> str:
    names = list_models()
    found = [known for known in names if known.startswith(name)]
    if name in names or len(found) == 1:
        if name not in names:
            print_log(f"{name} is the beginning of {found[0]}, which is taken", "current")
        return name if name in names else found[0]
    if Path(name).suffix == ".safetensors":
        raise ValueError(
            f"{name} is a file of weights: mmdyt.load_adapter takes an adapter file; of a plain "
            "model, name the model, and give the file as pretrained="
        )
    if Path(name).suffix in (".pth", ".pt", ".bin", ".npz"):
        raise ValueError(f"{name} is a file of weights: name its model, and give it as pretrained=")
    # vit_base_patch16_224 is timm's way to say vit-base-p16.
    alike = name.lower().replace("_", "-").replace("patch", "p")
    close = found[:8] or get_close_matches(alike, names, n=5, cutoff=0.4)
    hint = f": did you mean one of {close}?" if close else ", see mmpretrain.list_models()"
    raise ValueError(f"{name!r} is no model of mmpretrain and no config file (.py){hint}")
