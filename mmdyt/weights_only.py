"""Checkpoints are data: no code runs from a weight file, whichever loader of mmengine reads it.

``torch.load`` may run what a file names. mmengine retries without
``weights_only`` where a file needs it; here such a file is refused. What
mmengine's own checkpoints hold beside tensors (log histories, numpy scalars) is
known to be harmless and allowed. ``MMDYT_ALLOW_PICKLE=1`` trusts all files.
"""

from __future__ import annotations

import functools
import logging
import os
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner.checkpoint import CheckpointLoader

OPT_IN = "MMDYT_ALLOW_PICKLE"
_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
_STATISTICS = ("min", "max", "current", "mean")
_SCALARS = ["bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))]
_SCALARS += ["float16", "float32", "float64"]
_multiarray: Any = (np._core if hasattr(np, "_core") else np.core).multiarray  # type: ignore


def _statistic(owner: type, name: str) -> Callable:
    """Stand in for ``getattr``, by which a log history names its four statistics."""
    if owner is not HistoryBuffer or name not in _STATISTICS:
        raise pickle.UnpicklingError(f"getattr({owner!r}, {name!r}) is no statistic of a log")
    return getattr(HistoryBuffer, name)


HARMLESS: dict[str, Any] = {
    "mmengine.logging.history_buffer.HistoryBuffer": HistoryBuffer,
    "builtins.getattr": _statistic,
    "__builtin__.getattr": _statistic,
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    **{f"numpy.{core}.multiarray.scalar": _multiarray.scalar for core in ("core", "_core")},
    **{
        f"numpy.{core}.multiarray._reconstruct": _multiarray._reconstruct
        for core in ("core", "_core")
    },
    **{f"numpy.dtypes.{type(np.dtype(n)).__name__}": type(np.dtype(n)) for n in _SCALARS},
}


class _DataUnpickler(pickle.Unpickler):
    """For torch before 2.5, whose ``weights_only`` has no list of harmless types."""

    def find_class(self, module: str, name: str) -> Any:
        """Look a global up among those that are known to hold data."""
        known = HARMLESS | torch._weights_only_unpickler._get_allowed_globals()
        if f"{module}.{name}" not in known:
            raise pickle.UnpicklingError(f"Unsupported global: {module}.{name}")
        return known[f"{module}.{name}"]


def load_data(file: str | Path, map_location: Any = None) -> Any:
    """Read a file of ``torch.save`` without running code from it.

    Args:
        file: A local file.
        map_location: As ``torch.load``. Defaults to ``None``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file names code to run, or is damaged or no
            checkpoint.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {file}")
    if path.suffix == ".npz":
        raise ValueError(
            f"{file} is an archive of numpy arrays: if it is AugReg's, convert it with "
            "tools/model_converters/augreg_npz_to_mmdyt.py"
        )
    try:
        if hasattr(torch.serialization, "safe_globals"):
            with _harmless():
                return torch.load(path, map_location=map_location, weights_only=True)
        reader: Any = SimpleNamespace(Unpickler=_DataUnpickler, __name__="data")
        return torch.load(path, map_location=map_location, pickle_module=reader)
    except (pickle.UnpicklingError, AttributeError, TypeError) as error:
        raise ValueError(_refusal(file, error)) from error
    except (RuntimeError, EOFError, OSError, KeyError, IndexError, ValueError) as error:
        raise ValueError(f"{file} is damaged or no checkpoint: {error}") from error


def _refusal(file: str | Path, error: Exception) -> str:
    reason = str(error)
    named = re.search(r"(?:global:? )+(\S+)|getattr.*|function (\S+)|Can only .*", reason, re.I)
    if named is None:
        # torch's first lines advise to read the file without protection.
        told = re.search(r"Unpickler error: (.*)", reason)
        detail = told[1] if told else (reason.splitlines() or ["empty"])[0]
        return f"{file} is damaged or no checkpoint: {detail}"
    return (
        f"{file} holds more than data: it names {named[1] or named[2] or named[0]}, which reading "
        f"it could run. If the file is your own, {OPT_IN}=1 in the environment reads it, and runs "
        "whatever code it names; then save its state_dict alone"
    )


def _harmless() -> AbstractContextManager:
    """Let ``weights_only`` read what mmengine writes; torch before 2.5 cannot."""
    if not hasattr(torch.serialization, "safe_globals"):
        return nullcontext()
    harmless: list = [(value, name) for name, value in HARMLESS.items()]
    return torch.serialization.safe_globals(harmless)


@contextmanager
def _weights_only() -> Iterator[None]:
    """Force ``weights_only`` in every ``torch.load`` of this process for a while."""
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_FORCE]
        else:
            os.environ[_FORCE] = before


def _guarded(loader: Callable, local: bool) -> Callable:
    @functools.wraps(loader)
    def load(filename: str, map_location: Any = None, **kwargs: Any) -> Any:
        if os.environ.get(OPT_IN) == "1":
            print_log(f"{OPT_IN}=1: code that {filename} names is run", "current", logging.WARNING)
            return loader(filename, map_location=map_location, **kwargs)
        if local:
            loaded = load_data(filename, map_location)
        else:
            try:
                with _weights_only(), _harmless():
                    loaded = loader(filename, map_location=map_location, **kwargs)
            except pickle.UnpicklingError as error:
                raise ValueError(_refusal(filename, error)) from error
        if isinstance(loaded, dict) and isinstance(loaded.get("meta"), dict):
            loaded["meta"].pop("config", None)  # old mmcv's; Runner.resume would execute it
        return loaded

    load.reads_data_only = True  # type: ignore[attr-defined]
    return load


def guard_loaders() -> None:
    """Make every loader of mmengine's ``CheckpointLoader`` read data only.

    ``load_from``, ``init_cfg``, ``pretrained`` and mmengine's
    ``load_checkpoint`` all read through these. It may be called again.
    """
    for prefix, loader in list(CheckpointLoader._schemes.items()):
        if not hasattr(loader, "reads_data_only"):
            CheckpointLoader.register_scheme(prefix, _guarded(loader, prefix == ""), force=True)
