"""Find the checkpoint to go on from, and keep runs of one folder apart."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log

POINTER = "last_checkpoint"
# As configs name it; those of lazy imports have the class itself.
MMENGINE_HOOK = ("CheckpointHook", "mmengine.CheckpointHook", "mmengine.hooks.CheckpointHook")
_NUMBERED = re.compile(r"(?!best_|\.).*_(\d+)\.pth")


def is_complete(path: Path) -> bool:
    """Say whether a ``.pth`` file is whole.

    Its checksums are read, none of its content is: nothing in it can run.

    Args:
        path: A file of ``torch.save``.
    """
    try:
        with ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, BadZipFile):
        return False


def newest_checkpoint(work_dir: str | Path) -> Path | None:
    """Find the checkpoint that a run goes on from.

    It is the one that ``last_checkpoint`` names, by its name alone where the
    folder may have moved. Where that file is empty, missing, or names a file
    that is not whole, it is the newest whole ``epoch_*.pth`` or ``iter_*.pth``,
    and the log says so.

    Args:
        work_dir: Work dir of the run.

    Returns:
        Its path, or ``None`` if there is no checkpoint at all.

    Raises:
        ValueError: If there are checkpoints and none of them is whole.
    """
    work_dir = Path(work_dir)
    pointer = work_dir / POINTER
    named = pointer.read_text().strip() if pointer.is_file() else ""
    candidates = [work_dir / Path(named).name, Path(named)] if named else []
    wanted = next((path for path in candidates if path.is_file()), None)
    if wanted is not None and is_complete(wanted):
        return wanted
    found = _numbered(work_dir) or (_numbered(Path(named).parent) if named else [])
    if not found:
        return None
    reason = f"names {named!r}, which is no complete checkpoint" if named else "names no file"
    for path in sorted(found, key=_number, reverse=True):
        if is_complete(path):
            message = f"{pointer} {reason}: going on from {path}, the newest complete one"
            print_log(message, "current", logging.WARNING)
            return path
    raise ValueError(
        f"{pointer} {reason}, and none of {sorted(path.name for path in found)} is complete: "
        "remove them to start from the beginning"
    )


def use_safe_checkpoints(cfg: Config) -> None:
    """Let ``mmdyt.CheckpointHook`` stand in for mmengine's, with its arguments.

    Configs that inherit from a task library name mmengine's hook, or none.

    Args:
        cfg: A runner's config; ``default_hooks.checkpoint.type`` is changed.
    """
    default = dict(type="CheckpointHook", interval=1)  # mmengine's, where a config says nothing
    hook = (cfg.get("default_hooks") or {}).get("checkpoint", default)
    if hook and hook["type"] in (*MMENGINE_HOOK, CheckpointHook):
        own = dict(hook, type="mmdyt.CheckpointHook")
        cfg.merge_from_dict(dict(default_hooks=dict(checkpoint=own)))


def set_aside(paths: Iterable[Path], work_dir: Path) -> Path | None:
    """Move the files of an earlier run into ``earlier_1`` or the next free number.

    Args:
        paths: The files; those that do not exist are passed over.
        work_dir: Work dir of the run, where the new folder is made.

    Returns:
        The new folder, or ``None`` if there was nothing to move.
    """
    files = [path for path in paths if path.is_file()]
    if not files:
        return None
    numbered = (work_dir / f"earlier_{number}" for number in itertools.count(1))
    folder = next(path for path in numbered if not path.exists())
    folder.mkdir()
    for path in files:
        path.rename(folder / path.name)
    return folder


def _numbered(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.pth") if _NUMBERED.fullmatch(path.name)]


def _number(path: Path) -> int:
    match = _NUMBERED.fullmatch(path.name)
    assert match is not None
    return int(match[1])
