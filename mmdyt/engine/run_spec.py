"""One run of a suite: its config, its folder, and what there is to do."""

from __future__ import annotations

import hashlib
import itertools
import json
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from mmengine.config import Config

Status = Literal["done", "failed", "stale", "missing"]
RECORD = "record.json"
CONFIG = "config.py"


def fingerprint(cfg: Config) -> str:
    """Identify a config by its values, however its files are laid out.

    Args:
        cfg: A resolved config.

    Returns:
        The SHA-256 of its values, in hexadecimal.
    """
    values = json.dumps(cfg.to_dict(), sort_keys=True, default=repr)
    return hashlib.sha256(values.encode()).hexdigest()


@cache
def cached_config(path: str) -> Config:
    """Read a config file once a process."""
    cfg = Config.fromfile(path)
    # Without yapf, which takes a runner 3 s (fromfile's argument of this name has no effect).
    return Config(cfg.to_dict(), cfg.text, cfg.filename, cfg.env_variables, False)


@dataclass(frozen=True)
class SuiteRun:
    """One training and test: a method on a task with a seed.

    Args:
        suite: Name of the suite.
        task: Name of the task.
        group: Group of the task, ``''`` if it has none.
        method: Name of the method.
        seed: ``randomness.seed`` of the run.
        source: Path of the config file.
        cfg_options: Overrides of the config, dotted keys.
        work_dir: Folder of logs, checkpoints, ``config.py`` and ``record.json``.
        metric: What its test has to give. Defaults to ``''``: anything.
    """

    suite: str
    task: str
    group: str
    method: str
    seed: int
    source: str
    cfg_options: dict[str, Any]
    work_dir: Path
    metric: str = ""

    @property
    def name(self) -> str:
        """``task/method/seed0``, which is also its folder inside the suite's."""
        return f"{self.task}/{self.method}/seed{self.seed}"

    def config(self) -> Config:
        """Resolve the config: everything but where it runs (no work dir).

        Raises:
            ValueError: If a key of ``cfg_options`` goes into a dict that the
                config does not have.
        """
        cfg = deepcopy(cached_config(self.source))
        for key in self.cfg_options:
            node: Any = cfg
            for part in key.split(".")[:-1]:
                node = dict(enumerate(node)).get(int(part)) if part.isdigit() else node.get(part)
                if node is None:
                    raise ValueError(
                        f"{self.name}: cfg_options {key!r}: {self.source} has no {part!r}"
                    )
        cfg.merge_from_dict({**self.cfg_options, "randomness.seed": self.seed})
        return cfg

    def record(self) -> dict[str, Any] | None:
        """Read what the last attempt left, or ``None`` if none came to an end.

        Raises:
            ValueError: If the file is damaged.
        """
        path = self.work_dir / RECORD
        if not path.exists():
            return None
        try:
            record = json.loads(path.read_text())
            if not {"status", "fingerprint"} <= record.keys():
                raise ValueError("it lacks status or fingerprint")
        except (ValueError, AttributeError) as error:
            raise ValueError(
                f"{path} is damaged ({error}); delete it to do the run again"
            ) from error
        return record

    def status(self) -> Status:
        """Say what there is to do.

        Returns:
            ``'done'``, ``'failed'``, ``'missing'`` (never started, or cut off
            and to be resumed), or ``'stale'``: the folder belongs to another
            config, by the fingerprint.
        """
        wanted = fingerprint(self.config())
        record, saved = self.record(), self.work_dir / CONFIG
        if record is not None:
            return record["status"] if record["fingerprint"] == wanted else "stale"
        if saved.exists() and fingerprint(Config.fromfile(saved)) != wanted:
            return "stale"
        return "missing"

    def prepare(self) -> None:
        """Make room for another attempt.

        A folder that another config left is renamed to ``seed0.old1`` or the
        next free number; of a failed run only the record is, to
        ``record.failed.json``, so that its checkpoints serve.
        """
        status = self.status()
        if status == "stale":
            names = (f"{self.work_dir.name}.old{n}" for n in itertools.count(1))
            paths = (self.work_dir.with_name(name) for name in names)
            self.work_dir.rename(next(path for path in paths if not path.exists()))
        elif status == "failed":
            (self.work_dir / RECORD).replace(self.work_dir / "record.failed.json")
