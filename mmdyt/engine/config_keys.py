"""Refuse config keys that nothing would read, before anything is built.

mmengine takes any new key of ``--cfg-options`` without a word, and meets a
misspelt key of, say, an evaluator only when it is built, after the training.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from mmengine import registry as roots
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import LogProcessor, Runner, set_random_seed
from torch.utils.data import DataLoader

from mmdyt.engine.cli import describe
from mmdyt.engine.config_types import OWN_REGISTRIES, arguments_of, meant, resolve_type
from mmdyt.models.algorithms import DyTObjective
from mmdyt.package_files import package_file
from mmdyt.registry import SCOPE


def _parameters(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters) - {"self"}


# What mmengine's runner, its launcher and mmsegmentation's test-time augmentation read.
RUNNER_KEYS = (_parameters(Runner.__init__) - {"cfg"}) | {
    *("custom_imports", "runner_type", "model_wrapper_cfg", "find_unused_parameters"),
    *("sync_bn", "compile", "tta_model", "tta_pipeline"),
}
LOADER_KEYS = _parameters(DataLoader.__init__) | {"num_batch_per_epoch"}
# Dicts without a type, by path, and the keys that are read from them.
UNTYPED: dict[str, set[str]] = {
    "train_dataloader": LOADER_KEYS,
    "val_dataloader": LOADER_KEYS,
    "test_dataloader": LOADER_KEYS,
    "default_hooks": {
        *("runtime_info", "timer", "sampler_seed", "logger", "param_scheduler", "checkpoint"),
        "visualization",
    },
    "env_cfg": {"cudnn_benchmark", "mp_cfg", "dist_cfg", "resource_limit"},
    "env_cfg.mp_cfg": {"mp_start_method", "opencv_num_threads"},
    "randomness": _parameters(set_random_seed),
    "auto_scale_lr": {"base_batch_size", "enable"},
    "log_processor": _parameters(LogProcessor.__init__),
    "model.dyt": {field.name for field in fields(DyTObjective)},
    "optim_wrapper.paramwise_cfg": {
        *("custom_keys", "bias_lr_mult", "bias_decay_mult", "norm_decay_mult"),
        *("dwconv_decay_mult", "flat_decay_mult", "bypass_duplicate", "dcn_offset_lr_mult"),
        *("layer_decay_rate", "decay_rate", "decay_type", "num_layers"),  # layer-wise decay
    },
}
# The types that mmengine assumes.
ASSUMED = {
    "train_cfg": ("EpochBasedTrainLoop", "IterBasedTrainLoop"),
    "val_cfg": ("ValLoop",),
    "test_cfg": ("TestLoop",),
    "optim_wrapper": ("OptimWrapper",),
    "visualizer": ("Visualizer",),
    "data_preprocessor": ("mmpretrain.ClsDataPreprocessor",),
    "model.data_preprocessor": ("mmpretrain.ClsDataPreprocessor",),
}
# What is taken out of a dict before its class sees the rest.
TAKEN_OUT = {
    "train_cfg": {"by_epoch"},
    "optim_wrapper": {"constructor", "paramwise_cfg"},
    "custom_hooks": {"priority"},
    "default_hooks": {"priority"},
    "param_scheduler": {"convert_to_iter_based"},
}
# Dicts whose keys are the user's own, or that functions of mmcv build and take keys out of.
OWN_KEYS = {"custom_keys", "data_prefix", "metainfo", "dist_cfg", "metric_options"} | {
    f"{layer}_cfg" for layer in ("norm", "conv", "act", "padding", "upsample")
}


def load_config(path: str, options: dict[str, Any] | None = None) -> Config:
    """Read a config, merge ``--cfg-options`` and refuse keys that nothing reads.

    Args:
        path: A config file; those that come with mmdyt are found from any folder.
        options: Values by dotted key, as ``DictAction`` gives them. Defaults to
            ``None``.

    Returns:
        The config.

    Raises:
        ValueError: Naming the key, what it was probably meant to be, and the
            file or option it came from.
    """
    try:
        cfg = Config.fromfile(package_file(path))
    except FileNotFoundError:
        raise
    except Exception as error:  # a config is code: whatever it raises
        raise ValueError(f"{path}: {describe(error)}") from error
    init_default_scope(cfg.get("default_scope", "mmengine"))
    merge_options(cfg, options or {})
    for problem in _unknown_keys(cfg):
        raise ValueError(f"{path}: {problem}")
    return cfg


def merge_options(cfg: Config, options: dict[str, Any]) -> None:
    """Merge ``--cfg-options`` into a config, as mmengine does, but refuse unknown keys.

    Args:
        cfg: The config, whose default scope is set.
        options: Values by dotted key.

    Raises:
        ValueError: Naming the key and what it was probably meant to be.
    """
    # Types first: they say which keys there are.
    for key in sorted(options, key=lambda key: not key.endswith(".type")):
        _check_option(cfg, key)
        cfg.merge_from_dict({key: options[key]})


def _check_option(cfg: Config, option: str) -> None:
    """Refuse an option that would set what nothing reads."""
    top = option.partition(".")[0]
    if top not in RUNNER_KEYS and top in cfg:
        raise ValueError(
            f"--cfg-options: {top} is only a variable of the config file and would change nothing; "
            f"set the keys that take its value"
        )
    node: Any = cfg._cfg_dict
    path = ""
    for name in option.split("."):
        if isinstance(node, (list, tuple)):
            if not name.isdecimal() or int(name) >= len(node):
                raise ValueError(
                    f"--cfg-options {option}: {path} is a list of {len(node)}, {name} is none "
                    f"of its indices"
                )
            node = node[int(name)]
        elif isinstance(node, dict):
            accepted = _accepted(node, path) if path else RUNNER_KEYS
            if name not in node and accepted is not None and name not in accepted:
                key = f"{path}.{name}" if path else name
                choices = accepted | set(node) if path else accepted
                raise ValueError(f"--cfg-options: {key} is unknown{meant(key, choices)}")
            if name not in node and f"{path}.{name}" not in UNTYPED.keys() | ASSUMED.keys():
                return  # what is below is new, and its class's business
            node = node.get(name, {})
        else:
            raise ValueError(f"--cfg-options {option}: {path} is {node!r}, which has no keys")
        path = f"{path}.{name}" if path else name


def _unknown_keys(cfg: Config) -> Iterator[str]:
    """Walk what the runner reads; say what is wrong with keys that their class refuses."""

    def walk(node: Any, path: str) -> Iterator[str]:
        if isinstance(node, (list, tuple)):
            for index, child in enumerate(node):
                yield from walk(child, f"{path}.{index}")
        elif isinstance(node, dict):
            yield from unknown_keys(node, path)
            for key in node:
                yield from walk(node[key], f"{path}.{key}")

    def unknown_keys(node: dict, path: str) -> Iterator[str]:
        own = str(node.get("type", "")).startswith(f"{SCOPE}.")
        if (own or path == "optim_wrapper.optimizer") and not resolve_type(node["type"]):
            registries = OWN_REGISTRIES if own else [roots.OPTIMIZERS]
            names = [name for registry in registries for name in registry.module_dict]
            yield f"{path}.type={node['type']!r} is not registered{meant(node['type'], names)}"
        # Other parts of the model are built at once, and refuse their keys themselves.
        elif own or (not path.startswith("model") and ("type" in node or path in ASSUMED)):
            accepted = _accepted(node, path)
            unknown = [] if accepted is None else sorted(set(node) - accepted)
            for key in (key for key in unknown if not key.startswith("_")):
                yield f"{path}.{key} is unknown{meant(f'{path}.{key}', accepted or ())}"

    for top in sorted(RUNNER_KEYS & set(cfg.keys())):
        yield from walk(cfg[top], top)


def _accepted(node: Any, path: str) -> set[str] | None:
    """The keys that a dict of a config may have, or ``None`` where any may be right."""
    top, name = path.partition(".")[0], path.rpartition(".")[2]
    if name in OWN_KEYS or ".custom_keys." in path or ".policies." in path:
        return None
    types = [node["type"]] if "type" in node else list(ASSUMED.get(path, ()))
    if not types:
        return UNTYPED.get(path, set()) | {"type"}
    accepted: set[str] = {"type"} | TAKEN_OUT.get(top, set())
    found = [cls for one in types for cls in resolve_type(one)]
    for cls in found:
        arguments = arguments_of(cls)
        if arguments is None:
            return None
        accepted |= arguments
    return accepted if found else None
