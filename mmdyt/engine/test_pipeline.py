"""How a sample is read for a test: the pipeline of a run's config, and of an adapter file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS

from mmdyt.models.utils.model_config import plain_config


def find_pipeline(cfg: Any) -> list[dict] | None:
    """Find the test pipeline of a run's config, or its validation pipeline.

    Args:
        cfg: A config, or a dict like it.

    Returns:
        The pipeline as plain dicts, ``None`` if there is none.
    """
    for name in ("test_dataloader", "val_dataloader"):
        dataset = (cfg.get(name) or {}).get("dataset") or {}
        while not dataset.get("pipeline") and (dataset.get("dataset") or dataset.get("datasets")):
            inner = dataset.get("dataset") or dataset["datasets"][0]
            dataset = inner if isinstance(inner, dict) else {}
        if dataset.get("pipeline"):
            return plain_config(dataset["pipeline"])
    return None


def read_pipeline(text: str | None, file: str) -> list[dict] | None:
    """Read the pipeline that an adapter file holds.

    Args:
        text: A Python literal, or ``None``.
        file: What to call the file in the error.

    Returns:
        The pipeline, or ``None`` if the file has none.

    Raises:
        ValueError: If it asks for a transform that is not registered: mmengine
            would import whatever a dotted name points to.
    """
    if text is None:
        return None
    pipeline = ast.literal_eval(text)
    known = set(_registered())
    for name in _types(pipeline):
        if name not in known:
            raise ValueError(
                f"{file} asks for type={name!r}, which is no registered transform: import the "
                "module that registers it first"
            )
    return pipeline


def _registered() -> Iterator[str]:
    for registry in (ROOT_TRANSFORMS, *ROOT_TRANSFORMS.children.values()):
        registry.import_from_location()
        for name in registry.module_dict:
            yield from (name, f"{registry.scope}.{name}")


def _types(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "type" in node:
            yield str(node["type"])
        if "_scope_" in node:
            yield f"_scope_={node['_scope_']}"
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from _types(child)
