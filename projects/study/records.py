"""The committed records of a study: what its finished runs left, gathered over days."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

from mmdyt.engine.run_spec import fingerprint
from mmdyt.engine.suite import Suite
from mmdyt.fileio import atomic_path
from projects.study.study import Record


def read_records(path: Path) -> dict[str, list[Record]]:
    """Read records by suite."""
    return json.loads(gzip.decompress(path.read_bytes()))


def gather(suite: Suite, known: Sequence[Record]) -> list[Record]:
    """Take the records of all finished runs; of runs that are not here, the known ones.

    Args:
        suite: The suite, with the folder of its runs.
        known: Records of other machines or days; those of other configs are left out.

    Returns:
        The records, in the order of the suite.
    """
    by_run = {(r["task"], r["method"], r["seed"], r["fingerprint"]): r for r in known}
    found = []
    for run in suite.runs():
        wanted = run.task, run.method, run.seed, fingerprint(run.config())
        record = run.record() if run.status() == "done" else by_run.get(wanted)
        found += [record] if record else []
    return found


def write_records(suites: dict[str, Suite], path: Path) -> dict[str, int]:
    """Add the finished runs to a file of records.

    Args:
        suites: By name.
        path: The file. Its records of other configs than the suites' are dropped,
            and their number is printed.

    Returns:
        How many records it has, by suite.
    """
    known = read_records(path) if path.exists() else {}
    records = {name: gather(suite, known.get(name, [])) for name, suite in suites.items()}
    for name, each in records.items():
        there = {(r["task"], r["method"], r["seed"]) for r in each}
        lost = [r for r in known.get(name, []) if (r["task"], r["method"], r["seed"]) not in there]
        if lost:
            print(f"{name}: {len(lost)} records in {path} were of other configs and are dropped")
    with atomic_path(path) as temporary:
        temporary.write_bytes(gzip.compress(json.dumps(records, sort_keys=True).encode(), mtime=0))
    return {name: len(each) for name, each in records.items()}
