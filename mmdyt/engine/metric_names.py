"""Names of the metrics that a config's test gives, before it is run."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from fnmatch import fnmatchcase

from mmengine.config import Config
from mmengine.registry import METRICS


def require_metric(cfg: Config, name: str, source: str) -> None:
    """Refuse the name of a metric that no evaluator of a config gives.

    An evaluator with a prefix and ``topk`` gives ``prefix/top<k>``, one with a
    prefix names below it; those without a prefix may give any, so nothing is
    refused there.

    Args:
        cfg: A complete config.
        name: The metric, such as ``'accuracy/top1'``.
        source: Where the name stands, for the error.

    Raises:
        ValueError: Naming the metric and what the evaluators give.
    """
    given = ["dispatch/*", *_patterns(cfg)]
    if not any(fnmatchcase(name, pattern) for pattern in given):
        raise ValueError(f"{source}: metric {name!r} is none of what test_evaluator gives: {given}")


def _patterns(cfg: Config) -> Iterator[str]:
    found = cfg.get("test_evaluator") or []
    for spec in found if isinstance(found, list) else [found]:
        with METRICS.switch_scope_and_registry(cfg.get("default_scope")) as registry:
            metric = registry.get(spec["type"])
        prefix = spec.get("prefix") or getattr(metric, "default_prefix", None)
        arguments = inspect.signature(metric).parameters
        topk = spec.get("topk", arguments["topk"].default if "topk" in arguments else None)
        if prefix is None:
            yield "*"
        elif topk is None:
            yield f"{prefix}/*"
        else:
            yield from (f"{prefix}/top{k}" for k in ([topk] if isinstance(topk, int) else topk))
