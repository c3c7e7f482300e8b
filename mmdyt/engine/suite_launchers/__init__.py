"""Ways to execute the runs of a suite."""

from mmdyt.engine.suite_launchers.local import run_local

__all__ = ["run_local"]
