"""What a finished run left in its work dir."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmdyt.engine.run_spec import RECORD

# The metric of a page, where a test gave it; otherwise the first that it gave.
MAIN_METRICS = ("accuracy/top1", "mIoU", "coco/bbox_mAP", "acc/top1")
# In what mmengine writes of a config; a script beside it is not to be run.
HAS_MODEL = re.compile(r"^model ?= ?dict\(", re.MULTILINE)  # spaces as yapf pleases


@dataclass(frozen=True)
class FinishedRun:
    """A run that was tested.

    Args:
        name: What to call it.
        work_dir: Where it lies.
        config: What it was started with.
        metrics: What its last test gave.
        record: Its ``record.json``, which runs of suites and demos have; else empty.
    """

    name: str
    work_dir: Path
    config: Config
    metrics: dict[str, float]
    record: dict[str, Any]

    @property
    def main_metric(self) -> str:
        """Name of the metric to compare by."""
        return next(
            (name for name in MAIN_METRICS if name in self.metrics), next(iter(self.metrics))
        )

    @property
    def method(self) -> str:
        """What runs of one kind share: the method in its suite, or its own name."""
        return self.record.get("method", self.name)


def saved_config(work_dir: str | Path) -> Path:
    """Find the config that a run was started with, as it lies in its work dir.

    Args:
        work_dir: Work dir of a run.

    Returns:
        The newest ``*.py`` with a model directly in it: every run writes its complete
        config there. Other scripts are left alone.

    Raises:
        FileNotFoundError: If there is none.
    """
    configs = sorted(_configs(Path(work_dir)), key=lambda path: path.stat().st_mtime)
    if not configs:
        raise FileNotFoundError(f"{work_dir} is no work dir of a run: it holds no config (*.py)")
    return configs[-1]


def _configs(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.py") if HAS_MODEL.search(path.read_text("utf-8"))]


def find_runs(folders: Sequence[str | Path]) -> list[FinishedRun]:
    """Read work dirs, and all finished runs below the folders of suites and demos.

    Args:
        folders: Work dirs of runs, or folders in which ``record.json`` files lie.

    Returns:
        The runs, in the order of the folders. Names are as short as they can be.

    Raises:
        FileNotFoundError: If a folder is neither.
        ValueError: If a work dir was never tested, or no run below a folder is done.
    """
    found: list[tuple[Path, dict]] = []
    for folder in dict.fromkeys(Path(folder) for folder in folders):
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no work dir {folder}")
        if _configs(folder):
            found.append((folder, _record(folder)))
            continue
        records = [(path.parent, _record(path.parent)) for path in sorted(folder.rglob(RECORD))]
        done = [(path, record) for path, record in records if record["status"] == "done"]
        if not records:
            saved_config(folder)  # which says that there is none
        if not done:
            raise ValueError(f"none of the {len(records)} runs below {folder} is done")
        found += done
    names = _short_names([path for path, _ in found], [record for _, record in found])
    return [
        FinishedRun(name, path, Config.fromfile(saved_config(path)), _tested(path, record), record)
        for name, (path, record) in zip(names, found)
    ]


def _record(work_dir: Path) -> dict[str, Any]:
    path = work_dir / RECORD
    return read_json(path) if path.is_file() else {}


def read_json(path: Path) -> Any:
    """Read a file of a work dir.

    Args:
        path: A ``.json`` file.

    Returns:
        Its content.

    Raises:
        ValueError: Naming the file, if it is no JSON.
    """
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error


def _tested(work_dir: Path, record: dict) -> dict[str, float]:
    """Metrics of the newest test: mmengine writes ``<time>/<time>.json`` after one."""
    tests = sorted(path for path in work_dir.glob("*/*.json") if path.stem == path.parent.name)
    metrics = read_json(tests[-1]) if tests else record.get("metrics", {})
    trainings = sorted(
        path.parents[1].name
        for path in work_dir.glob("*/vis_data/scalars.json")
        if '"loss"' in path.read_text()
    )
    if tests and trainings and trainings[-1] > tests[-1].stem:
        raise ValueError(
            f"{work_dir} was trained again after its last test ({tests[-1].stem}): run "
            f"tools/test.py {saved_config(work_dir)} CHECKPOINT --work-dir {work_dir} first"
        )
    numbers = {
        name: float(value)
        for name, value in metrics.items()
        if isinstance(value, (int, float)) and name not in ("time", "data_time")
    }
    if not numbers:
        raise ValueError(
            f"{work_dir} was never tested, so that there is nothing to report: run tools/test.py "
            f"{saved_config(work_dir)} CHECKPOINT --work-dir {work_dir} first"
        )
    return numbers


def _short_names(paths: Sequence[Path], records: Sequence[dict]) -> list[str]:
    """Name runs by what tells them apart."""
    candidates = (
        [record.get("method", path.resolve().name) for path, record in zip(paths, records)],
        [
            "/".join(path.parts[-3:]) if record else str(path)
            for path, record in zip(paths, records)
        ],
        [str(path) for path in paths],
    )
    return next((names for names in candidates if len(set(names)) == len(names)), candidates[-1])
