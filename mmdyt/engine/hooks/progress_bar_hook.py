"""A progress bar instead of log lines."""

from __future__ import annotations

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmdyt.registry import HOOKS


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """Show the training's progress, time left and losses on one line.

    For runs that a person watches, with ``log_level='ERROR'``; log files and
    visualiser backends get everything as usual.

    Args:
        title (str): What to call the run. Defaults to ``'Training'``.
        keys (tuple[str, ...]): Outputs of ``train_step`` to show. Defaults to
            ``('loss', 'activation_rate')``.
    """

    def __init__(
        self, title: str = "Training", keys: tuple[str, ...] = ("loss", "activation_rate")
    ) -> None:
        self.title = title
        self.keys = keys
        self._bar: Progress | None = None

    def before_train(self, runner) -> None:
        """Open the bar."""
        if is_main_process():
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._bar = Progress(
                *columns, TimeRemainingColumn(), TextColumn("{task.fields[state]}")
            )
            self._task = self._bar.add_task(self.title, total=runner.max_iters, state="")
            self._bar.start()

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Move the bar."""
        if self._bar is not None:
            values = {key: outputs[key] for key in self.keys if outputs and key in outputs}
            state = "  ".join(f"{key} {value.item():.3f}" for key, value in values.items())
            self._bar.update(self._task, completed=runner.iter + 1, state=state)

    def after_train(self, runner) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
