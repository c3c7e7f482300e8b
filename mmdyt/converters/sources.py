"""Read checkpoints of other code bases without running code from them."""

from __future__ import annotations

import argparse
import pickle
import re
from collections import OrderedDict
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from mmdyt.converters.onnx_source import read_onnx
from mmdyt.engine.run_checks import require_checkpoint
from mmdyt.fileio import load_from_safetensors


def _released_arguments() -> AbstractContextManager:
    """Let ``weights_only`` read the arguments in the released code's checkpoints.

    They are an ``argparse.Namespace`` with an ``EasyDict`` inside, for which a
    dict stands in. torch before 2.5 has no such list and refuses the file.
    """
    if not hasattr(torch.serialization, "safe_globals"):
        return nullcontext()
    stand_in = (OrderedDict, "easydict.EasyDict")
    return torch.serialization.safe_globals([argparse.Namespace, stand_in])


def read_source(path: str | Path, kind: str) -> dict[str, Tensor]:
    """Read a checkpoint without running code from it.

    Args:
        path: A ``.npz`` for ``'augreg_npz'``, otherwise a ``.safetensors`` file
            or one of ``torch.save``: a state dict, bare or under ``'model'`` or
            ``'state_dict'``; for ``'hf'`` also an ``.onnx``.
        kind: A key of ``mmdyt.converters.FORMATS``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or holds more than tensors.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    if kind == "augreg_npz":
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return {name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays.files}
        except (OSError, ValueError, TypeError, AttributeError, EOFError, BadZipFile) as error:
            raise ValueError(f"{path} is no complete .npz file") from error
    if kind == "hf" and Path(path).suffix == ".onnx":
        return read_onnx(path)
    require_checkpoint(str(path), "SRC")
    if Path(path).suffix == ".safetensors":
        return load_from_safetensors(str(path))["state_dict"]
    try:
        with _released_arguments():
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise ValueError(
            f"{path} is damaged or holds more than tensors{f' ({found[1]})' if found else ''}; of "
            f"a training checkpoint re-save the entry 'model' alone"
        ) from error
    for nest in ("model", "state_dict"):
        if isinstance(loaded, dict) and isinstance(loaded.get(nest), dict):
            loaded = loaded[nest]
    if not isinstance(loaded, dict):
        raise ValueError(f"{path} holds a {type(loaded).__name__}, not a state dict")
    for key, value in loaded.items():
        if not isinstance(value, Tensor):
            raise ValueError(f"{path}: {key!r} is a {type(value).__name__}, not a tensor")
    return loaded
