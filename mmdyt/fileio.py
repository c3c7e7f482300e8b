"""Files: atomic writing, locks, and safetensors as a checkpoint format of mmengine."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner.checkpoint import CheckpointLoader
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mmdyt.package_files import package_file
from mmdyt.weights_only import guard_loaders

ADAPTER_FORMAT = "mmdyt-adapter-2"
ADAPTER_META = "mmdyt_adapter"
CONFIG_META = "mmdyt_config"
_TEMPORARY = re.compile(r"\..+\.writing-(?P<host>.+)-(?P<pid>\d+)(\.\w+)?")
_DAY = 24 * 3600.0


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Give a temporary path that becomes ``target`` when the context succeeds.

    A reader sees the old file or the new one, never a part of it; after an
    error or a kill the old one stands. What killed processes left half-written
    in the folder is removed when a process first writes there.

    Args:
        target: The file to write. Missing folders are made.

    Yields:
        A path in the same folder to write to, with the same suffix.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers_once(target.parent.resolve(), os.getpid())
    writer = f"{socket.gethostname()}-{os.getpid()}"
    temporary = target.with_name(f".{target.stem}.writing-{writer}{target.suffix}")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files whose writers are dead.

    A file of another host, or of Windows, goes when nobody wrote to it for a day:
    whether its process lives cannot be seen from here.

    Args:
        folder: Where :func:`atomic_path` wrote; subfolders are left alone.
    """
    for path in folder.iterdir():
        name = _TEMPORARY.fullmatch(path.name)
        if name is None:
            continue
        with suppress(FileNotFoundError):  # another process removes it too
            if name["host"] == socket.gethostname() and os.name == "posix":
                leftover = not _is_alive(int(name["pid"]))
            else:
                leftover = time.time() - path.stat().st_mtime > _DAY
            if leftover:
                path.unlink()


@cache
def _remove_leftovers_once(folder: Path, pid: int) -> None:
    """Look once a process: data sets write thousands of files into one folder."""
    remove_leftovers(folder)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


@register_backend("mmdyt.atomic")
class AtomicBackend(LocalBackend):
    """mmengine's local files, written beside their target and then moved there.

    ``backend_args=dict(backend='mmdyt.atomic')`` selects it wherever mmengine
    takes ``backend_args``.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes; they are on the disk before the target is replaced.

        Args:
            obj: The content.
            filepath: The file. Missing folders are made.

        Raises:
            OSError: Naming the file, if it cannot be written, as on a full disk.
        """
        try:
            with atomic_path(filepath) as path, open(path, "wb") as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(filepath)) from error

    def put_text(self, obj: str, filepath: str | Path, encoding: str = "utf-8") -> None:
        """Write text as :meth:`put` writes bytes.

        Args:
            obj: The content.
            filepath: The file. Missing folders are made.
            encoding: Defaults to ``'utf-8'``.
        """
        self.put(obj.encode(encoding), filepath)


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
        OSError: On Windows, which lacks such locks.
    """
    try:
        import fcntl
    except ImportError:
        raise OSError(
            f"{path}: Windows lacks the file locks that sweeps and demos hold; use "
            f"tools/train.py there, or the Windows Subsystem for Linux"
        ) from None

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
    # safetensors' own save_file makes files that only their owner can read.
    AtomicBackend().put(save(data, metadata={"meta": json.dumps(meta)}), target)


@CheckpointLoader.register_scheme(prefixes=r".*\.safetensors$")
def load_from_safetensors(filename: str, map_location: str | None = None) -> dict:
    """Read a safetensors file as mmengine reads a ``.pth``.

    Registered with mmengine, so that ``load_from`` and
    ``init_cfg=dict(type='Pretrained', checkpoint=...)`` take such files.
    Nothing in the format can run code.

    Args:
        filename: A ``.safetensors`` file; see
            :func:`mmdyt.package_files.package_file`.
        map_location: Device of the tensors. Defaults to ``None``, the CPU.

    Returns:
        ``dict(state_dict=..., meta=...)``. What a file says of its model
        also stands in the ``_metadata`` of its ``state_dict``, which every
        loader hands on to the model's load hooks.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or of another format.
    """
    path = package_file(filename)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {filename}")
    try:
        with safe_open(path, framework="pt", device=str(map_location or "cpu")) as file:
            names = file.keys()
            state_dict: Any = OrderedDict((name, file.get_tensor(name)) for name in names)
            meta = json.loads((file.metadata() or {}).get("meta", "{}"))
    except SafetensorError as error:
        raise ValueError(f"{filename} is not a complete safetensors file: {error}") from error
    if meta.get("format", "").startswith("mmdyt-adapter"):
        state_dict._metadata = {"": {ADAPTER_META: dict(meta, file=str(filename))}}
    elif CONFIG_META in meta:  # of a whole model, see tools/model_converters/publish.py
        state_dict._metadata = {"": {CONFIG_META: meta[CONFIG_META]}}
    return dict(state_dict=state_dict, meta=meta)


load_from_safetensors.reads_data_only = True  # type: ignore[attr-defined]
guard_loaders()
