"""Execute runs one after the other, each over all GPUs (or CPU processes) of this machine."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mmdyt.engine.suite import SuiteRun
from mmdyt.engine.suite_launchers.local import ATTEMPTS, locked
from mmdyt.engine.suite_launchers.progress import SweepProgress
from mmdyt.engine.suite_task import MODULE, write_runs


def run_pytorch(runs: Sequence[SuiteRun], processes: int, out: Path, bar: SweepProgress) -> None:
    """Execute runs with ``torchrun``.

    A run that fails is tried once more, from its last checkpoint: where one
    process dies, the others see an error like any other.

    Args:
        runs: What to do, in order.
        processes: Processes of a run, such as the number of GPUs.
        out: Folder of the suite; ``pytorch.log`` is what the runs print.
        bar: Shows the progress.

    Raises:
        RuntimeError: If another sweep is at work in ``out``.
    """
    with locked(out), (out / "pytorch.log").open("ab") as log:
        write_runs(runs, out / "pytorch.json")
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
        for index, run in enumerate(runs):
            command = [*torchrun, "-m", MODULE, str(out / "pytorch.json"), str(index), "pytorch"]
            record, started = None, time.time()
            for attempt in range(1, ATTEMPTS + 1):
                run.prepare()
                bar.begin(run.name)
                code = subprocess.run([sys.executable, *command], stdout=log, stderr=log).returncode
                if (record := run.record()) and record["status"] == "done":
                    break
                what = "trying once more" if attempt < ATTEMPTS else "giving up"
                bar.give_up(run.name, f"its processes ended with {code}; {what}")
            bar.end(run.name, record or _record_death(run, started, log.name))


def _record_death(run: SuiteRun, started: float, log: str) -> dict:
    from mmdyt.engine.suite_worker import write_record  # imports the stack; seldom needed

    return write_record(run, started, error=f"its processes ended {ATTEMPTS} times; see {log}")
