"""Kill a run from inside, at a chosen moment of a save."""

from __future__ import annotations

import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from mmengine.hooks import Hook

from mmdyt.engine.checkpoints import POINTER

MOMENTS = (
    "byte",  # when the file that is written has so many bytes
    "written",  # when the checkpoint is written, before anything else
    "pointer",  # before last_checkpoint is touched
    "pointer byte",  # when last_checkpoint, or what replaces it, has so many bytes
    "delete",  # before an old checkpoint is deleted
    "deleted",  # after that
)


@dataclass(frozen=True)
class Aim:
    """A moment of a save.

    Args:
        save: Which write of a checkpoint, from 1; a best checkpoint counts too.
        moment: One of :data:`MOMENTS`.
        size: Bytes, for the moments that have them.
    """

    save: int
    moment: str
    size: int = 0


class AimedKillHook(Hook):
    """End the process at a moment of a save, by what the system does there.

    Python tells audit hooks of every file that is opened, renamed or removed,
    before it happens: there the process kills itself. To end inside a write,
    the largest size of a file is limited; the system then ends the process
    (SIGXFSZ) where a file would outgrow it, as abruptly as a SIGKILL does.
    """

    priority = "HIGHEST"  # before the adapter is written

    def __init__(self, aim: Aim) -> None:
        self.aim = aim
        self.saves = 0
        self.deleted = False

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        self.saves += 1
        if self.saves != self.aim.save:
            return
        if self.aim.moment == "byte":
            _limit(self.aim.size)
        else:
            sys.addaudithook(self._watch)

    def _watch(self, event: str, args: tuple) -> None:
        moment = self.aim.moment
        if self.deleted and event != "os.kill":  # which the death itself raises
            _die()
        if event == "open":
            pointer = POINTER in str(args[0])
            if pointer and moment in ("written", "pointer"):
                _die()
            if pointer and moment == "pointer byte":
                _limit(self.aim.size)
        elif event == "os.rename" and moment == "written" and str(args[1]).endswith(".pth"):
            _die()
        elif event == "os.remove" and _is_checkpoint(args[0]):
            if moment == "delete":
                _die()
            self.deleted = moment == "deleted"


def _is_checkpoint(path) -> bool:
    name = Path(os.fspath(path)).name
    return name.endswith(".pth") and not name.startswith(".")


def _limit(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
