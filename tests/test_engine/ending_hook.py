"""A hook that ends a run in its middle, for tests; configs import it by name."""

import os
import signal
from pathlib import Path

from mmengine.hooks import Hook

from mmdyt.registry import HOOKS


@HOOKS.register_module()
class EndingHook(Hook):
    """End the run before iteration ``at``: ``how`` is an exception's name or ``'kill'``.

    With ``once``, a file, only where that file does not exist, which it then does.
    """

    def __init__(self, at: int, how: str = "kill", once: str | None = None) -> None:
        self.at, self.how, self.once = at, how, once

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        if runner.iter != self.at or (self.once and Path(self.once).exists()):
            return
        if self.once:
            Path(self.once).touch()
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise {"KeyboardInterrupt": KeyboardInterrupt, "RuntimeError": RuntimeError}[self.how](
            f"ended before iteration {self.at}"
        )
