"""Execute runs one after the other, each over all GPUs (or CPU processes) of this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mmdyt.engine.run_spec import SuiteRun
from mmdyt.engine.suite_launchers.progress import SweepProgress

ATTEMPTS = 2  # of a run that does not come to its end


def run_pytorch(
    runs: Sequence[SuiteRun], processes: int, out: Path, bar: SweepProgress, lock: int
) -> None:
    """Execute runs with ``torchrun``.

    A run that fails is tried once more, from its last checkpoint: where one
    process dies, the others see an error like any other.

    Args:
        runs: What to do, in order.
        processes: Processes of a run, such as the number of GPUs.
        out: Folder of the suite; ``pytorch.log`` is what the runs print.
        bar: Shows the progress.
        lock: Descriptor of the folder's lock, which ``torchrun`` keeps if the
            sweep is killed.
    """
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    command = [sys.executable, *torchrun, "-m", "mmdyt.engine.suite_run"]
    with (out / "pytorch.log").open("ab") as log:
        for run in runs:
            started, fields = time.time(), json.dumps(asdict(run), default=str)
            # Not with the restarts of torchrun, whose gloo processes do not always meet again.
            for _ in range(ATTEMPTS):
                run.prepare()
                bar.move(run.name, None)
                done = subprocess.run([*command, fields], stdout=log, stderr=log, pass_fds=[lock])
                if run.status() == "done":
                    break
            if not run.record():
                from mmdyt.engine.suite_run import write_record  # imports the stack

                error = f"its processes ended with {done.returncode}; see {log.name}"
                write_record(run, started, error)
            bar.end(run.name, run.record(), f"left no record; see {log.name}")
