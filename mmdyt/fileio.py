"""Files: atomic writing, locks, and safetensors as a checkpoint format of mmengine."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mmengine.runner.checkpoint import CheckpointLoader
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


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


@contextmanager
def locked(path: str | Path, who: str) -> Iterator[int]:
    """Hold a lock file, which the system releases however its holders end.

    Args:
        path: The lock file. Missing folders are made.
        who: What to call its holder in the error.

    Yields:
        The descriptor that holds the lock. A process that inherits it keeps
        the lock until it ends.

    Raises:
        RuntimeError: If another process holds the lock.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(f"{who} is at work in {path.parent}") from None
        yield file.fileno()


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
        ``dict(state_dict=..., meta=...)``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or of another format.
    """
    if not Path(filename).is_file():
        raise FileNotFoundError(f"no checkpoint at {filename}")
    try:
        with safe_open(filename, framework="pt", device=str(map_location or "cpu")) as file:
            state_dict = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            meta = json.loads((file.metadata() or {}).get("meta", "{}"))
    except SafetensorError as error:
        raise ValueError(f"{filename} is not a complete safetensors file: {error}") from error
    return dict(state_dict=state_dict, meta=meta)
