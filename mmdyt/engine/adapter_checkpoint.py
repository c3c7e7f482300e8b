"""Adapter-only checkpoints: what was trained, and what it needs to be that model again."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import TASK_UTILS, WEIGHT_INITIALIZERS, DefaultScope
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from mmpretrain.registry import BATCH_AUGMENTS
from torch import Tensor

import mmdyt
import mmdyt.models
from mmdyt.engine.quiet import quiet
from mmdyt.fileio import ADAPTER_FORMAT, load_from_safetensors, save_safetensors
from mmdyt.models.utils.frozen_base import fingerprint, split_state
from mmdyt.models.utils.load_guards import pretrained_inits
from mmdyt.models.utils.model_config import plain_config

INTEGRATIONS = "mmdyt.integrations."
# Whose registries a file may name.
SCOPES = ("mmengine", "mmdyt", "mmpretrain", "mmseg", "mmaction", "mmdet")
# What models build their parts from, in each scope.
PARTS = (ROOT_MODELS, TASK_UTILS, WEIGHT_INITIALIZERS)
# Parts of detectors that are no registry's but mmcv.ops's; mmcv evaluates the name in nms as code.
OPS = ("nms", "soft_nms", "RoIAlign", "RoIPool")


def save_adapter(
    model: BaseModel,
    file: str | Path,
    state_dict: Mapping[str, Tensor] | None = None,
    base: dict | None = None,
    test_pipeline: list[dict] | None = None,
    **meta: Any,
) -> None:
    """Write trainable parameters and buffers, and what they depend on.

    The metadata hold the config that the model was built from, the same with
    all defaults, a fingerprint of the frozen base and where it came from, the
    default scope, and mmdyt's version.

    Args:
        model: A model of mmdyt, not wrapped for data parallel training.
        file: A ``.safetensors`` file, written atomically.
        state_dict: Values of the trained part, such as averaged ones. Defaults
            to ``None``: the model's own.
        base: :func:`mmdyt.models.utils.frozen_base.fingerprint` of the frozen
            part, if known. Defaults to ``None``: computed here.
        test_pipeline: How :func:`mmdyt.inferencer` reads a sample, as the
            pipeline of a test data set. Defaults to ``None``: the model's
            attribute of that name.
        **meta: Further facts for the reader, such as ``config`` (a file name)
            and ``dataset_meta`` (mmengine's ``dict(classes=...)``) and ``budgets``
            (:func:`mmdyt.set_budget`), by default the model's attributes of that
            name.

    Raises:
        TypeError: If the model is none of mmdyt's.
        ValueError: If its tuned weights are merged into the frozen ones, or the
            file has another suffix, by which loaders tell what it is.
    """
    if Path(file).suffix != ".safetensors":
        raise ValueError(f"an adapter file must end in .safetensors, got {str(file)!r}")
    if not hasattr(model, "built_from"):
        raise TypeError(
            f"save_adapter takes models of mmdyt (CompleteModelMixin), got {type(model).__name__}"
        )
    for key in ("dataset_meta", "budgets"):
        meta.setdefault(key, getattr(model, key, None))
    pipeline = test_pipeline or getattr(model, "test_pipeline", None)
    if getattr(model, "is_merged", False):
        raise ValueError(
            f"{file} cannot be written from a merged model, whose frozen weights are no longer "
            "those of its base: save the model that mmdyt.models.utils.merged() was given"
        )
    own, frozen = split_state(model, state_dict)
    scope = DefaultScope.get_current_instance()
    facts = dict(
        format=ADAPTER_FORMAT,
        mmdyt_version=mmdyt.__version__,
        model=repr(model.built_from),  # not JSON, which knows no tuples
        test_pipeline=repr(plain_config(pipeline)) if pipeline else None,
        resolved=model.resolved_config,
        scope=scope.scope_name if scope is not None else "mmpretrain",
        integration=type(model).__module__,
        pretrained=next(iter(pretrained_inits(model)), None),
        base=fingerprint(frozen) if base is None else base,
        **meta,
    )
    save_safetensors(file, own, plain_config(facts))


def load_adapter(adapter_file: str | PathLike, base: str | PathLike | None = None) -> BaseModel:
    """Build the model that an adapter file describes, and load both halves.

    Args:
        adapter_file: A file of :func:`save_adapter`.
        base: The pre-trained checkpoint of the frozen backbone. Defaults to
            ``None``: the path that the file names.

    Returns:
        The model on the CPU, in evaluation mode, with ``dataset_meta`` (class
        names) and ``test_pipeline`` as attributes, where the file has them.

    Raises:
        TypeError: If ``adapter_file`` is no path.
        FileNotFoundError: If there is no adapter file.
        ValueError: If the file is damaged or no adapter file, asks for a class
            or a scope that is not registered, or was trained on another base.
    """
    _require_adapter_file(adapter_file)
    meta = load_from_safetensors(str(adapter_file))["meta"]
    if meta.get("format") != ADAPTER_FORMAT:
        raise ValueError(
            f"{adapter_file} is no adapter file of this version: its format is "
            f"{meta.get('format')!r}, not {ADAPTER_FORMAT!r}"
        )
    if meta["integration"].startswith(INTEGRATIONS):  # nothing else that a file names is imported
        importlib.import_module(meta["integration"])
    config = ConfigDict(ast.literal_eval(meta["model"]))  # detectors read theirs as attributes
    _refuse_scope(meta["scope"], str(adapter_file))
    if base is not None:
        _set_base(config, str(base))
    with DefaultScope.overwrite_default_scope(meta["scope"]), quiet():
        _refuse_unknown_types(config, str(adapter_file))
        model = ROOT_MODELS.build(config)
        load_checkpoint(model, str(adapter_file), map_location="cpu", logger="silent")
    model.dataset_meta = meta.get("dataset_meta")
    model.test_pipeline = ast.literal_eval(meta.get("test_pipeline") or "None")
    model.eval()
    return model


def _require_adapter_file(file: Any) -> None:
    """Refuse what cannot be an adapter file, and say what it may be."""
    if not isinstance(file, (str, PathLike)):
        raise TypeError(f"an adapter file must be given by its path, got {type(file).__name__}")
    path = Path(file)
    if path.is_file() and path.suffix != ".safetensors":
        raise ValueError(
            f"{file} is no adapter file, whose name ends in .safetensors: the checkpoint of a run "
            "(.pth) goes with its config, as in mmdyt.inferencer(CONFIG, CHECKPOINT)"
        )


def _set_base(config: dict, base: str) -> None:
    """Let the backbone of a config start from another file."""
    loaded = CheckpointLoader.load_checkpoint(base, map_location="cpu", logger="silent")
    names = loaded.get("state_dict", loaded)
    init_cfg = dict(type="Pretrained", checkpoint=base)
    if any(name.startswith("backbone.") for name in names):
        init_cfg["prefix"] = "backbone."
    for part in (config, config["backbone"], config["backbone"].get("module")):
        for key in ("init_cfg", "pretrained"):
            if part:
                part.pop(key, None)
    config["backbone"].get("module", config["backbone"])["init_cfg"] = init_cfg


def _refuse_scope(scope: str, file: str) -> None:
    """Refuse a scope whose package mmengine would import."""
    if scope not in SCOPES:
        raise ValueError(f"{file} asks for scope={scope!r}; the scopes are {list(SCOPES)}")


def _refuse_unknown_types(config: Any, file: str) -> None:
    """Refuse names that are not registered: mmengine would import what they point to."""
    known = {*OPS, *_registered()}
    for key, name in _names(config):
        if key == "_scope_":
            _refuse_scope(name, file)
        elif name not in known:
            raise ValueError(
                f"{file} asks for type={name!r}, which is no registered part of a model: import "
                "the module that registers it first"
            )


def _registered() -> Iterator[str]:
    """Names of the classes that models are made of, with and without their scopes."""
    children = [child for root in PARTS for child in root.children.values()]
    for registry in (*PARTS, *children, BATCH_AUGMENTS):
        for name, found in registry.module_dict.items():
            if inspect.isclass(found):  # not the functions that download models
                yield from (name, f"{registry.scope}.{name}")


def _names(config: Any) -> Iterator[tuple[str, str]]:
    """What mmengine resolves in a config: ``type`` and ``_scope_``."""
    if isinstance(config, dict):
        for key, child in config.items():
            if key in ("type", "_scope_"):
                yield key, str(child)
            # The targets of LoRA are patterns of module names.
            elif key != "targets" or "LoRAModel" not in str(config.get("type")):
                yield from _names(child)
    elif isinstance(config, (list, tuple)):
        for child in config:
            yield from _names(child)
