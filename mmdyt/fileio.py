"""Files: atomic writing, and safetensors as a checkpoint format of mmengine."""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.runner.checkpoint import CheckpointLoader
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mmdyt.weights_only import guard_loaders

ADAPTER_FORMAT = "mmdyt-adapter-2"
ADAPTER_META = "mmdyt_adapter"


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Give a temporary path that becomes ``target`` when the context succeeds.

    A reader sees the old file or the new one, never a part of it; after an
    error or a kill the old one stands.

    Args:
        target: The file to write. Missing folders are made.

    Yields:
        A path in the same folder to write to, with the same suffix.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def save_safetensors(target: str | Path, tensors: Mapping[str, Tensor], meta: dict) -> None:
    """Write tensors and JSON-like meta data, atomically.

    Args:
        target: A ``.safetensors`` file.
        tensors: Tensors by name, on any device.
        meta: Anything ``json`` can write.
    """
    data = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(target) as path:
        save_file(data, path, metadata={"meta": json.dumps(meta)})


@CheckpointLoader.register_scheme(prefixes=r".*\.safetensors$")
def load_from_safetensors(filename: str, map_location: str | None = None) -> dict:
    """Read a safetensors file as mmengine reads a ``.pth``.

    Registered with mmengine, so that ``load_from`` and
    ``init_cfg=dict(type='Pretrained', checkpoint=...)`` take such files.
    Nothing in the format can run code.

    Args:
        filename: A ``.safetensors`` file.
        map_location: Device of the tensors. Defaults to ``None``, the CPU.

    Returns:
        ``dict(state_dict=..., meta=...)``. What an adapter file says of itself
        also stands in the ``_metadata`` of its ``state_dict``, which every
        loader hands on to the model's load hooks.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or of another format.
    """
    if not Path(filename).is_file():
        raise FileNotFoundError(f"no checkpoint at {filename}")
    try:
        with safe_open(filename, framework="pt", device=str(map_location or "cpu")) as file:
            names = file.keys()
            state_dict: Any = OrderedDict((name, file.get_tensor(name)) for name in names)
            meta = json.loads((file.metadata() or {}).get("meta", "{}"))
    except SafetensorError as error:
        raise ValueError(f"{filename} is not a complete safetensors file: {error}") from error
    if meta.get("format", "").startswith("mmdyt-adapter"):
        state_dict._metadata = {"": {ADAPTER_META: dict(meta, file=str(filename))}}
    return dict(state_dict=state_dict, meta=meta)


load_from_safetensors.reads_data_only = True  # type: ignore[attr-defined]
guard_loaders()
