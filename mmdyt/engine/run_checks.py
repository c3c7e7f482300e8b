"""Refuse values of a config that would stop a run later, or change it silently."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.model import is_model_wrapper
from safetensors import SafetensorError, safe_open
from torch import nn

from mmdyt.checks import check_choice, check_integer, check_number
from mmdyt.datasets.list_files import check_list
from mmdyt.engine.config_types import resolve_type
from mmdyt.package_files import package_file

# The first bytes of what torch.save writes: a zip file, or a pickle before torch 1.6.
LEGACY_MAGIC = b"\x80\x02\x8a\x0a"
HEADS = ("head", "cls_head", "decode_head")


def check_run(cfg: Config, part: str) -> None:
    """Check what a training or a test reads, before a runner is built.

    Args:
        cfg: The config, with the command line in it.
        part: ``'train'`` or ``'test'``.

    Raises:
        ValueError: Naming the key, the value and what it may be.
        FileNotFoundError: If a checkpoint is missing.
    """
    needed = ["model", f"{part}_dataloader", f"{part}_cfg"]
    needed += ["optim_wrapper" if part == "train" else "test_evaluator"]
    if missing := [key for key in needed if cfg.get(key) is None]:
        raise ValueError(f"{cfg.filename} has no {', '.join(missing)}, which a {part} run needs")
    loop = cfg[f"{part}_cfg"]
    for name in ("max_epochs", "max_iters", "val_interval"):
        if name in loop:
            check_integer(f"{part}_cfg.{name}", loop[name], "[1, inf)")
    _check_num_classes(cfg)
    if cfg.get("load_from"):
        source = (
            "checkpoint" if part == "test" else "--resume" if cfg.get("resume") else "load_from"
        )
        require_checkpoint(cfg.load_from, source)
    for name in ("train", "val", "test") if part == "train" else ("test",):
        loader = cfg.get(f"{name}_dataloader")
        if loader is None:
            continue
        if "batch_size" in loader:
            check_integer(f"{name}_dataloader.batch_size", loader.batch_size, "[1, inf)")
        check_integer(f"{name}_dataloader.num_workers", loader.get("num_workers", 0), "[0, inf)")
        for dataset in _dicts(loader.get("dataset")):
            _check_dataset(dataset, f"{name}_dataloader.dataset")
    _check_arch(cfg.model.get("backbone") or {})
    if part == "train":
        optimizer = cfg.optim_wrapper.get("optimizer") or {}
        check_number("optim_wrapper.optimizer.lr", optimizer.get("lr", 0.0), "[0, inf)")
        for path, node in _with_paths(cfg.model, "model"):
            if node.get("type") == "Pretrained" and isinstance(node.get("checkpoint"), str):
                require_checkpoint(node["checkpoint"], f"{path}.checkpoint")


def require_checkpoint(path: str, key: str) -> None:
    """Refuse a weight file that is missing, empty, cut off or of another kind.

    Only its outside is looked at, which is quick for files of any size. Files
    that are not on this machine's disk are passed over.

    Args:
        path: A ``.safetensors`` file, or one of ``torch.save``.
        key: The config key or the option that names it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot hold weights.
    """
    if ":" in path:
        return
    path = str(package_file(path))
    if not Path(path).is_file():
        raise FileNotFoundError(f"{key}: no checkpoint at {path}")
    if Path(path).stat().st_size == 0:
        raise ValueError(f"{key}: {path} is empty")
    if path.endswith(".safetensors"):
        try:
            with safe_open(path, framework="pt"):
                return
        except SafetensorError as error:
            raise ValueError(f"{key}: {path} is no complete safetensors file") from error
    with open(path, "rb") as file:
        legacy = file.read(len(LEGACY_MAGIC)) == LEGACY_MAGIC
    if not legacy and not zipfile.is_zipfile(path):
        raise ValueError(f"{key}: {path} is damaged or no checkpoint of torch.save")


def check_head_width(model: nn.Module, cfg: Config) -> None:
    """Refuse a head for features of another width than the backbone's.

    Args:
        model: The model that was built from the config.
        cfg: The config.

    Raises:
        ValueError: Naming the key and both widths.
    """
    own: Any = model.module if is_model_wrapper(model) else model
    neck, backbone = getattr(own, "neck", None), getattr(own, "backbone", None)
    # Without a neck that learns; Swin's stages differ in width, its heads read the last.
    if neck is not None and any(True for _ in neck.parameters()):
        return
    stages = getattr(backbone, "num_features", None)
    width = stages[-1] if isinstance(stages, list) else getattr(backbone, "embed_dims", None)
    for name in HEADS:
        given = (cfg.model.get(name) or {}).get("in_channels")
        several = isinstance(given, (list, tuple))
        if width is None or given is None or (several and isinstance(stages, list)):
            continue
        if any(channels != width for channels in (given if several else [given])):
            raise ValueError(
                f"model.{name}.in_channels must be {width}, the width of model.backbone, "
                f"got {given}"
            )


def _check_num_classes(cfg: Config) -> None:
    """Compare the classes that labels are encoded with to those that the head has."""
    for key, owner in (("", cfg), ("model.", cfg.model)):
        given = (owner.get("data_preprocessor") or {}).get("num_classes")
        for name in HEADS:
            known = (cfg.model.get(name) or {}).get("num_classes")
            if None not in (given, known) and given != known:
                raise ValueError(
                    f"{key}data_preprocessor.num_classes={given} differs from "
                    f"model.{name}.num_classes={known}"
                )


def _check_arch(backbone: dict) -> None:
    """Refuse a name that the backbone has no architecture for."""
    arch = backbone.get("arch")
    for cls in resolve_type(backbone.get("type")):
        if isinstance(arch, str) and isinstance(zoo := getattr(cls, "arch_zoo", None), dict):
            check_choice("model.backbone.arch", arch.lower(), sorted(zoo))


def _check_dataset(dataset: dict, key: str) -> None:
    """Read the list of a data set whose lines are paths and labels."""
    file, root = dataset.get("ann_file"), dataset.get("data_root") or ""
    if not isinstance(file, str) or not file or "://" in f"{root}{file}":
        return
    path = Path(root, file).expanduser()
    classes = [getattr(cls, "__mro__", ()) for cls in resolve_type(dataset["type"])]
    parents = {parent.__name__ for mro in classes for parent in mro}
    if "CustomDataset" in parents and dataset.get("with_label", True):
        check_list(path, f"{key}.ann_file", whole_path=True)
    elif "VideoDataset" in parents:
        several = dataset.get("multi_class", False)
        check_list(path, f"{key}.ann_file", dataset.get("delimiter", " "), several=several)


def _dicts(node: Any) -> Iterator[dict]:
    """All dicts with a type, in a config."""
    return (child for _, child in _with_paths(node, "") if "type" in child)


def _with_paths(node: Any, path: str) -> Iterator[tuple[str, dict]]:
    if isinstance(node, dict):
        yield path, node
        for key, child in node.items():
            yield from _with_paths(child, f"{path}.{key}")
    elif isinstance(node, (list, tuple)):
        for index, child in enumerate(node):
            yield from _with_paths(child, f"{path}.{index}")
