"""Keep tables of budgets beside checkpoints, find them again, and use them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import nn

from mmdyt.fileio import atomic_path, load_from_safetensors, save_safetensors
from mmdyt.models.utils import set_budget
from mmdyt.models.utils.budget_table import require_own
from mmdyt.models.utils.dispatch_mode import settable_dispatchers

FILE = "budgets.json"


def keep_budgets(budgets: Mapping[str, Any], out: Path, checkpoint: Path) -> list[Path]:
    """Write a table of budgets to a file, and into the adapter file that it belongs to.

    Args:
        budgets: The table.
        out: A folder, for ``budgets.json``.
        checkpoint: What was measured. Where it is an adapter file, its metadata
            get the table, unless it lies in a folder of others.

    Returns:
        Where the table is now.
    """
    with atomic_path(out / FILE) as path:
        path.write_text(json.dumps(budgets, indent=1))
    if checkpoint.suffix != ".safetensors" or not os.access(checkpoint.parent, os.W_OK):
        return [out / FILE]
    held = load_from_safetensors(str(checkpoint))
    save_safetensors(checkpoint, held["state_dict"], dict(held["meta"], budgets=budgets))
    return [out / FILE, checkpoint]


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
    list(settable_dispatchers(model))  # refuses models without
    budgets, source = getattr(model, "budgets", None), Path(checkpoint)
    file = Path(checkpoint).parent / FILE
    if budgets is None and file.is_file():
        budgets, source = _read(file), file
    if budgets is None:
        raise ValueError(
            f"there is no table of budgets in {checkpoint} nor at {file}: "
            "tools/analysis_tools/budget_curve.py CONFIG CHECKPOINT measures one"
        )
    try:
        require_own(model, budgets)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    return budgets


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file} is damaged ({error}): measure it again") from error


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
