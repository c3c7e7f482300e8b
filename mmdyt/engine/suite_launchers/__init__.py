"""Ways to execute the runs of a suite."""

from mmdyt.engine.suite_launchers.local import run_local
from mmdyt.engine.suite_launchers.pytorch import run_pytorch
from mmdyt.engine.suite_launchers.slurm import queued, submit, wait_for

__all__ = ["queued", "run_local", "run_pytorch", "submit", "wait_for"]
