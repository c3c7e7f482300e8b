"""Execute one run of a list, for launchers that start a process for each.

``python -m mmdyt.engine.suite_task RUNS_JSON INDEX [LAUNCHER]`` ends
with 0 if the run is done and with 1 if it failed; the record tells more.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mmdyt.engine.suite import SuiteRun
from mmdyt.fileio import atomic_path

MODULE = "mmdyt.engine.suite_task"


def write_runs(runs: Sequence[SuiteRun], path: Path) -> None:
    """Write runs to a JSON file that :func:`read_runs` takes."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps([asdict(run) for run in runs], default=str, indent=1))


def read_runs(path: Path) -> list[SuiteRun]:
    """Read what :func:`write_runs` wrote."""
    return [
        SuiteRun(**{**fields, "work_dir": Path(fields["work_dir"])})
        for fields in json.loads(path.read_text())
    ]


def main() -> None:
    """Run the command line of this module's docstring."""
    from mmdyt.engine.suite_worker import execute  # imports the stack, which takes seconds

    runs, index, *launcher = sys.argv[1:]
    record = execute(read_runs(Path(runs))[int(index)], launcher=(launcher or ["none"])[0])
    if record["error"]:  # of several processes, the first alone writes its record
        print(record["error"], file=sys.stderr)
    sys.exit(record["status"] != "done")


if __name__ == "__main__":
    main()
