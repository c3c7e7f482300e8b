"""From a trained model to predictions on own files."""

from __future__ import annotations

import importlib
from os import PathLike
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, DefaultScope
from mmengine.runner import load_checkpoint

from mmdyt.engine.adapter_checkpoint import load_adapter
from mmdyt.engine.inferencer import BaseDyTInferencer
from mmdyt.engine.quiet import quiet
from mmdyt.engine.test_pipeline import find_pipeline, require_registered
from mmdyt.evaluation import build_uninitialised
from mmdyt.package_files import package_file

__all__ = ["inferencer"]

# By the task library of the model: the module here and its class.
INFERENCERS = {
    "mmpretrain": ("classification", "DyTClassificationInferencer"),
    "mmseg": ("segmentation", "DyTSegInferencer"),
    "mmaction": ("video", "DyTVideoInferencer"),
}


def inferencer(
    source: str | PathLike | Config | BaseModel,
    checkpoint: str | PathLike | None = None,
    *,
    base: str | PathLike | None = None,
    test_pipeline: list[dict] | None = None,
    device: str | None = None,
) -> BaseDyTInferencer:
    """Make an inferencer of a trained classifier, segmentor or video recognizer.

    It is built on mmpretrain's ``ImageClassificationInferencer``, mmseg's
    ``MMSegInferencer`` or mmaction's ``ActionRecogInferencer``, whichever the
    model's library has.

    Example::

        infer = mmdyt.inferencer("work_dirs/my_run/adapter.safetensors")
        infer("photo.jpg")[0]["pred_class"]
        infer("photo.jpg", token_maps=True)[0]["token_maps"]["mlp 0"]

    Args:
        source: An adapter file, the config of a run (a path or a ``Config``), or
            a built model of mmdyt, which is put into evaluation mode and moved to
            the device.
        checkpoint: With a config: an ``epoch_*.pth`` or an adapter file. Defaults
            to ``None``: the weights of the config's ``init_cfg``, so that
            adapters, dispatchers and head are untrained.
        base: With an adapter file: the checkpoint of the frozen backbone.
            Defaults to ``None``: the path that the file names.
        test_pipeline: How a sample is read. Defaults to ``None``: that of the
            file, config or model.
        device: Defaults to ``None``: a GPU where there is one.

    Returns:
        An object to call with paths, see
        ``BaseDyTInferencer.__call__``.

    Raises:
        ValueError: If the model is of no supported task, nothing says how a
            sample is read, ``checkpoint`` or ``base`` does not go with the source,
            or the file does not fit (see :func:`mmdyt.load_adapter`).
        TypeError: If the source is none of these.
        FileNotFoundError: If there is no such file.
    """
    with quiet():
        model, own_pipeline = _load(source, checkpoint, base)
    libraries = {cls.__module__.partition(".")[0] for cls in type(model).__mro__}
    found = [name for library, name in INFERENCERS.items() if library in libraries]
    if not found:
        raise ValueError(
            f"{type(model).__name__} is a model of none of {list(INFERENCERS)}, which have an "
            "inferencer here; for detection take mmdet.apis.init_detector"
        )
    name = str(source) if isinstance(source, (str, PathLike)) else "the model"
    pipeline = test_pipeline or own_pipeline
    if not pipeline:
        raise ValueError(
            f"{name} does not say how a sample is read: give test_pipeline="
            "[dict(type='LoadImageFromFile'), ...], here or to mmdyt.save_adapter"
        )
    module, cls_name = found[0]
    cls = getattr(importlib.import_module(f"{__name__}.{module}"), cls_name)
    if test_pipeline is None and not _is_config(source):
        require_registered(pipeline, name)
    return cls(model, pipeline, device)


def _load(source: Any, checkpoint: Any, base: Any) -> tuple[Any, list[dict] | None]:
    if base is not None and (_is_config(source) or isinstance(source, BaseModel)):
        raise ValueError(f"base={str(base)!r} needs an adapter file as source")
    if _is_config(source):
        cfg = source if isinstance(source, Config) else Config.fromfile(package_file(source))
        return _from_config(cfg, checkpoint), find_pipeline(cfg)
    if checkpoint is not None:
        raise ValueError(f"checkpoint={str(checkpoint)!r} needs the config of its run as source")
    if not isinstance(source, (str, PathLike, BaseModel)):
        raise TypeError(
            "source must be an adapter file, the config of a run or a model of mmdyt, got "
            f"{type(source).__name__}"
        )
    model = source if isinstance(source, BaseModel) else load_adapter(source, base)
    return model, getattr(model, "test_pipeline", None)


def _is_config(source: Any) -> bool:
    return isinstance(source, Config) or Path(str(source)).suffix == ".py"


def _from_config(cfg: Config, checkpoint: Any) -> Any:
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope", "mmpretrain")):
        model: Any = build_uninitialised(cfg)
        if checkpoint is None:
            model.init_weights()
            meta = {}
        else:
            loaded = load_checkpoint(model, str(checkpoint), map_location="cpu", logger="silent")
            meta = loaded.get("meta", {})
        model.dataset_meta = meta.get("dataset_meta") or _dataset_meta(cfg)
    return model


def _dataset_meta(cfg: Config) -> dict | None:
    """Class names of the test set, without reading it."""
    dataset = (cfg.get("test_dataloader") or {}).get("dataset") or {}
    named = dict(dataset.get("metainfo") or {})
    return named or getattr(DATASETS.get(dataset.get("type", "")), "METAINFO", None) or None
