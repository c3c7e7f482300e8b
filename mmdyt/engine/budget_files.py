"""Keep tables of budgets beside checkpoints, find them again, and use them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import nn

from mmdyt.fileio import atomic_path, load_from_safetensors, save_safetensors
from mmdyt.models.utils.budget import own_fingerprint, require_own, set_budget

FILE = "budgets.json"


def keep_budgets(budgets: Mapping[str, Any], out: Path, checkpoint: Path) -> None:
    """Write a table of budgets to a file, and into the adapter file that it belongs to.

    Args:
        budgets: The table.
        out: A folder, for ``budgets.json``.
        checkpoint: What was measured. Where it is an adapter file, its metadata
            get the table.
    """
    with atomic_path(out / FILE) as path:
        path.write_text(json.dumps(budgets, indent=1))
    if checkpoint.suffix == ".safetensors":
        held = load_from_safetensors(str(checkpoint))
        save_safetensors(checkpoint, held["state_dict"], dict(held["meta"], budgets=budgets))


def find_budgets(model: nn.Module, checkpoint: str | Path) -> dict[str, Any]:
    """Find the table of budgets of a loaded model.

    Args:
        model: The model; a table from its adapter file is an attribute of it.
        checkpoint: What it was loaded from; a ``budgets.json`` may lie beside it.

    Returns:
        The table.

    Raises:
        ValueError: If the model has no dispatchers, there is no table, it is damaged
            or of another checkpoint.
    """
    own_fingerprint(model)  # refuses models without dispatchers
    budgets = getattr(model, "budgets", None)
    file = Path(checkpoint).parent / FILE
    if budgets is None and file.is_file():
        budgets = _read(file)
    if budgets is None:
        raise ValueError(
            f"there is no table of budgets in {checkpoint} nor at {file}: "
            "tools/analysis_tools/budget_curve.py CONFIG CHECKPOINT measures one"
        )
    require_own(model, budgets)
    return budgets


def _read(file: Path) -> dict[str, Any]:
    try:
        budgets = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file} is damaged ({error}): measure it again") from error
    if not isinstance(budgets, dict) or not {"dispatchers", "points"} <= budgets.keys():
        raise ValueError(f"{file} is no table of budgets: it needs dispatchers and points")
    return budgets


def use_budget(
    model: nn.Module, checkpoint: str | Path, rate: float, capacity: bool = False
) -> dict[str, Any]:
    """Set a loaded model to a rate, as ``--budget`` of the tools does.

    Args:
        model: The model, possibly wrapped for data parallel or augmented testing.
        checkpoint: What it was loaded from.
        rate: Share of active tokens.
        capacity: As :func:`mmdyt.set_budget`. Defaults to ``False``.

    Returns:
        What the table expects, as :func:`mmdyt.set_budget`.

    Raises:
        ValueError: As :func:`find_budgets` and :func:`mmdyt.set_budget`.
    """
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module  # type: ignore[assignment]
    budgets = find_budgets(model, checkpoint)
    return set_budget(model, rate=rate, capacity=capacity, budgets=budgets)
