"""What the ``type`` of a config stands for, and which keys it takes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection
from difflib import get_close_matches
from typing import Any

from mmengine import registry as roots
from torch import nn

from mmdyt import registry as ours
from mmdyt.registry import SCOPE

# A type is looked for in all of these: where a dict stands does not always tell which.
REGISTRIES = (
    *(roots.MODELS, roots.DATASETS, roots.DATA_SAMPLERS, roots.TRANSFORMS, roots.HOOKS),
    *(roots.METRICS, roots.EVALUATOR, roots.LOOPS, roots.OPTIMIZERS, roots.OPTIM_WRAPPERS),
    *(roots.PARAM_SCHEDULERS, roots.VISUALIZERS, roots.VISBACKENDS, roots.WEIGHT_INITIALIZERS),
)
OWN_REGISTRIES = [value for value in vars(ours).values() if getattr(value, "scope", "") == SCOPE]


def resolve_type(name: Any) -> list[Any]:
    """Resolve a ``type`` as mmengine would, but in all registries.

    Args:
        name: What a config says: a name, or a class itself.

    Returns:
        What it may stand for; nothing, if it is not registered.
    """
    if not isinstance(name, str):
        return [name]
    found = []
    for root in REGISTRIES:
        with root.switch_scope_and_registry(None) as registry:
            cls = registry.get(name)
        if cls is not None and cls not in found:
            found.append(cls)
    return found


def arguments_of(cls: Any) -> set[str] | None:
    """Names of the arguments that a class or function takes, those of its parents included.

    Args:
        cls: What a config's ``type`` stands for.

    Returns:
        The names, or ``None`` where keyword arguments go somewhere else than to
        the parent's constructor, so that any might be right.
    """
    if not inspect.isclass(cls):
        signature = inspect.signature(cls)
        variadic = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
        return None if variadic else set(signature.parameters)
    names: set[str] = set()
    for base in cls.__mro__:
        init = base.__dict__.get("__init__")
        if init is None:
            continue
        if base in (object, nn.Module):
            break
        try:
            parameters = list(inspect.signature(init).parameters.values())
            source = inspect.getsource(init)
        except (OSError, TypeError, ValueError):  # not written in Python
            return None
        names |= {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        keywords = [p.name for p in parameters if p.kind is p.VAR_KEYWORD]
        if not keywords:
            break
        to_parent = re.search(rf"[\w)]\.__init__\((?:[^()]|\([^()]*\))*\*\*{keywords[0]}\b", source)
        if not to_parent or re.search(rf"\b{keywords[0]}(\.|\[)", source):
            return None
    return names - {"self"}


def meant(key: str, choices: Collection[str]) -> str:
    """Say what a key that does not exist was probably meant to be.

    Args:
        key: The key, with what it stands in: ``'model.dyt.rate'``.
        choices: The names that there are in its place.

    Returns:
        The end of a sentence: the nearest choices, or all of them.
    """
    *before, name = key.split(".")
    if near := get_close_matches(name, sorted(choices), n=3):
        return f"; did you mean {' or '.join('.'.join([*before, one]) for one in near)}?"
    return f"; choose among {', '.join(sorted(choices))}" if choices else ""


def require_part(role: str, part: Any) -> None:
    """Refuse the config of a part that could not be built.

    Args:
        role: What it is in its whole, such as ``'adapter'``.
        part: Its config.

    Raises:
        ValueError: If it is no dict with a type, the type is not registered, or its
            class takes no such key; naming what was probably meant.
    """
    if not isinstance(part, dict) or not isinstance(part.get("type"), (str, type)):
        raise ValueError(
            f"{role} must be a dict, as dict(type='mmdyt....', ...), or None, got {part!r}"
        )
    found = resolve_type(part["type"])
    if not found:
        names = [name for registry in OWN_REGISTRIES for name in registry.module_dict]
        named = f"{SCOPE}.{part['type'].rpartition('.')[2]}"
        own = sorted(f"{SCOPE}.{name}" for name in names if name.endswith(role.capitalize()))
        near = get_close_matches(named, own, n=3, cutoff=0.8)
        told = f"did you mean {' or '.join(near)}?" if near else f"choose among {', '.join(own)}"
        raise ValueError(f"{role}.type={part['type']!r} is not registered; {told}")
    known = arguments_of(found[0])
    for key in part.keys() - known - {"type"} if known is not None else ():
        raise ValueError(f"{role}.{key} is unknown{meant(f'{role}.{key}', known or ())}")
