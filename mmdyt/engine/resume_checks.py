"""A resumed run goes on as it began: the same model, the same optimiser."""

from __future__ import annotations

import ast
import logging
import math
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import nn

from mmdyt.models.utils.model_config import plain_config

# A longer schedule, other data workers, another device may follow; not these.
COMPARED = ("model", "data_preprocessor", "optim_wrapper")
# Where weights first came from, and how a step is computed.
FREE = ["init_cfg", "pretrained", "with_cp", "loss_scale"]
FREE += ["optim_wrapper.type", "optim_wrapper.dtype"]


def read_config(text: str) -> dict[str, Any]:
    """Read the config that mmengine stored in a checkpoint, without running it.

    Args:
        text: Assignments of literals and ``dict(...)`` calls, as mmengine's
            ``pretty_text`` writes them.

    Returns:
        The assignments that are such literals. A warning names what a resume
        should compare and is none.
    """
    found = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            try:
                value = ast.literal_eval(_CallsAsDicts().visit(statement.value))
            except ValueError as error:  # such as a call in a config of lazy imports
                if (name := statement.targets[0].id) in COMPARED:
                    message = f"{name} of the checkpoint's config is not compared: {error}"
                    print_log(message, "current", logging.WARNING)
                continue
            found[statement.targets[0].id] = value
    return found


class _CallsAsDicts(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(math.inf) if node.id == "inf" else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.func, ast.Name) or node.func.id != "dict" or node.args:
            return node
        keys: list[ast.expr | None] = [
            ast.Constant(keyword.arg) if keyword.arg else None for keyword in node.keywords
        ]
        return ast.Dict(keys=keys, values=[keyword.value for keyword in node.keywords])


def require_same_run(stored: str | None, cfg: Config) -> None:
    """Refuse to resume a run whose model or optimiser was another.

    Args:
        stored: The config in the checkpoint; nothing is checked without one.
        cfg: The config of the run that resumes.

    Raises:
        ValueError: Naming the keys that differ, with both values.
    """
    # As text holds it: classes of lazy imports by their paths.
    theirs, ours = read_config(stored or ""), cfg.to_dict()
    differences = []
    for name in COMPARED:
        if name in theirs and name in ours:
            file = dict(_leaves(plain_config(theirs[name]), name))
            run = dict(_leaves(plain_config(ours[name]), name))
            differences += [
                f"{key}: {file.get(key)!r} in the checkpoint, {run.get(key)!r} now"
                for key in {**file, **run}
                if file.get(key) != run.get(key)
            ]
    if differences:
        more = f" and {len(differences) - 5} more" if len(differences) > 5 else ""
        raise ValueError(
            f"this run cannot resume from that checkpoint: {'; '.join(differences[:5])}{more}. "
            "Resume with the config and the --cfg-options that the run began with, or start a new "
            "one with load_from"
        )


def _leaves(value: Any, path: str):
    if isinstance(value, dict):
        for key, child in value.items():
            if key not in FREE and f"{path}.{key}" not in FREE:
                yield from _leaves(child, f"{path}.{key}")
    elif isinstance(value, (list, tuple)) and any(isinstance(child, dict) for child in value):
        for index, child in enumerate(value):
            yield from _leaves(child, f"{path}.{index}")
    else:
        if path.endswith(".type"):  # with its scope, without it, or as the path of the class
            value = str(value).rpartition(".")[2]
        yield path, list(value) if isinstance(value, tuple) else value


def require_same_groups(stored: dict | None, optim_wrapper: Any, model: nn.Module) -> None:
    """Refuse optimiser state whose parameter groups are others.

    Args:
        stored: The optimiser's state in the checkpoint, if it has one.
        optim_wrapper: The optimiser of the run.
        model: The model, whose parameters give the groups their names.

    Raises:
        ValueError: Naming the first group that differs and what it holds.
    """
    if not stored or not isinstance(optim_wrapper, OptimWrapper):
        return
    theirs = [len(group["params"]) for group in stored["param_groups"]]
    ours = [len(group["params"]) for group in optim_wrapper.param_groups]
    if theirs == ours:
        return
    names = {param: name for name, param in model.named_parameters()}
    index = next(
        (i for i, (one, other) in enumerate(zip(theirs, ours)) if one != other),
        min(len(theirs), len(ours)),
    )
    group = optim_wrapper.param_groups[index]["params"] if index < len(ours) else []
    held = ", ".join(names.get(param, "?") for param in group[:3]) or "nothing"
    raise ValueError(
        f"the checkpoint's optimiser has {len(theirs)} parameter groups of {sum(theirs)} "
        f"parameters, this run's {len(ours)} of {sum(ours)}; they differ from group {index} on, "
        f"which holds {held} here. Groups follow from what trains (model.tuning, "
        "backbone.dispatch, adapter) and from optim_wrapper.paramwise_cfg"
    )
