"""What a model was built from, and where two such configs differ in what they compute."""

from __future__ import annotations

import inspect
import re
from collections.abc import Container, Iterator
from typing import Any

from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import TASK_UTILS, WEIGHT_INITIALIZERS, DefaultScope
from torch import nn

# Keys of training, of initialisation and of how a test runs: the model computes the same.
INDIFFERENT = re.compile(
    r"(^|_)drop|^loss|^(init_cfg|pretrained|train_cfg|test_cfg|dyt|tuning|with_cp|tau|topk|cal_acc"
    r"|frozen_stages|norm_eval|sampler|ignore_index|average_clips|requires_grad|type"
    r"|selection|keep)$"  # paths of files whose content is in the weights
)
# What a preprocessor does to values; the rest is padding, batching and augmentation.
NORMALISATION = ("mean", "std", "to_rgb", "bgr_to_rgb", "rgb_to_bgr", "format_shape")


def registered_name(cls: type) -> str:
    """Name of a model part or initialiser in its registry, such as ``'mmdyt.DyTViT'``."""
    registries = [ROOT_MODELS, *ROOT_MODELS.children.values()]
    registries += [TASK_UTILS, *TASK_UTILS.children.values()]  # anchors and samplers of detectors
    for registry in registries:
        for name, found in registry.module_dict.items():
            if found is cls:
                return f"{registry.scope}.{name}"
    for name, found in WEIGHT_INITIALIZERS.module_dict.items():
        if found is cls:
            return name
    return f"{cls.__module__}.{cls.__qualname__}"


def registered_class(name: str) -> type[nn.Module] | None:
    """Find a registered model part without importing anything.

    mmengine's own ``Registry.get`` imports and hands out whatever a dotted name
    points to.

    Args:
        name: A ``type``, with or without its scope. Without one, the default
            scope is searched first.

    Returns:
        The class, or ``None`` if no imported registry has such a module.
    """
    scope, _, bare = name.rpartition(".")
    current = DefaultScope.get_current_instance()
    first = scope or (current.scope_name if current is not None else "")
    registries = [ROOT_MODELS, *ROOT_MODELS.children.values()]
    for registry in sorted(registries, key=lambda registry: registry.scope != first):
        found = registry.module_dict.get(bare)
        if found is not None and (not scope or registry.scope == scope):
            return found if inspect.isclass(found) and issubclass(found, nn.Module) else None
    return None


def plain_config(value: Any) -> Any:
    """Turn a config into literals: dicts, lists, tuples, strings, numbers."""
    if isinstance(value, dict):
        return {str(key): plain_config(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):  # some heads insist on a tuple
        return (tuple if isinstance(value, tuple) else list)(map(plain_config, value))
    if isinstance(value, type):
        return registered_name(value)
    if hasattr(value, "tolist"):  # numpy, torch
        return value.tolist()
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)


def resolve_defaults(config: Any) -> Any:
    """Add the defaults of the classes that a plain config names.

    Args:
        config: A result of :func:`plain_config`, in its default scope.

    Returns:
        A copy, in which the arguments that the config leaves out stand with the
        defaults of the class and of the parents that it hands ``**kwargs`` to.
    """
    if isinstance(config, (list, tuple)):
        return [resolve_defaults(child) for child in config]
    if not isinstance(config, dict):
        return config
    found = registered_class(config["type"]) if isinstance(config.get("type"), str) else None
    full = dict(config) if found is None else _defaults(found) | config
    arches = getattr(found, "arch_zoo", {})
    if isinstance(full.get("arch"), str):  # 'b' and 'base' are one
        full["arch"] = plain_config(arches.get(full["arch"].lower(), full["arch"]))
    return {key: resolve_defaults(child) for key, child in full.items()}


def _defaults(cls: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for parent in cls.__mro__:
        if "__init__" not in parent.__dict__:
            continue
        parameters = inspect.signature(parent.__dict__["__init__"]).parameters.values()
        for parameter in parameters:
            if parameter.default is not parameter.empty:
                found.setdefault(parameter.name, plain_config(parameter.default))
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found


def config_differences(theirs: dict, ours: dict, ignored: Container[str] = ()) -> list[str]:
    """Name the keys by which two models compute different things.

    A key that only one of them has counts if it switches something on.

    Args:
        theirs: The resolved config of a file.
        ours: The resolved config of the model that loads it.
        ignored: Last parts of keys that do not matter. Defaults to none.

    Returns:
        ``'backbone.adapter.scale: 1.0 in the file, 0.1 in the model'``, ...
    """
    file, model = dict(_leaves(theirs)), dict(_leaves(ours))
    return [
        f"{key}: {file.get(key)!r} in the file, {model.get(key)!r} in the model"
        for key in {**file, **model}
        if key.rpartition(".")[2] not in ignored and not _same(file.get(key), model.get(key))
    ]


def _leaves(config: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    nested = isinstance(config, dict) or any(
        isinstance(child, dict) for child in (config if isinstance(config, list) else ())
    )
    if not nested:
        yield ".".join(path), config
        return
    for key, child in config.items() if isinstance(config, dict) else enumerate(config):
        if path[:1] == ("data_preprocessor",) and key not in NORMALISATION:
            continue
        if key == "type":
            # Without its scope: 'LinearClsHead' in mmpretrain's is 'mmpretrain.LinearClsHead'.
            # SyncBN is BN in a test.
            bare = str(child).rpartition(".")[2].removeprefix("Sync")
            yield ".".join((*path, "type")), bare
        if not INDIFFERENT.search(str(key)):
            yield from _leaves(child, (*path, str(key)))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list) != isinstance(other, list):  # 224 is [224, 224]
        many, single = (one, other) if isinstance(one, list) else (other, one)
        return (not many and not single) or (
            bool(many) and single is not None and all(child == single for child in many)
        )
    return one == other or (not one and not other)
