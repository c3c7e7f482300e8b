"""Checkpoints that survive kills and full disks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import mmengine.dist as dist
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.runner import EpochBasedTrainLoop

from mmdyt.engine.checkpoints import POINTER, newest_checkpoint, set_aside
from mmdyt.engine.hooks.adapter_checkpoint_hook import AdapterCheckpointHook
from mmdyt.engine.resume_checks import require_same_groups, require_same_run
from mmdyt.fileio import ADAPTER_META, atomic_path, remove_leftovers
from mmdyt.registry import HOOKS

OUTDATED = "outdated_ckpts"


class _LateRemoval(LocalBackend):
    """Local files whose removal waits until what replaces them is written."""

    def __init__(self) -> None:
        self.outdated: list[Path] = []

    def remove(self, filepath: str | Path) -> None:
        self.outdated.append(Path(filepath))

    def keep(self, current: Iterable[str | Path | None]) -> None:
        """Forget the removal of files that were written again under their names."""
        kept = {Path(path).resolve() for path in current if path}
        self.outdated = [path for path in self.outdated if path.resolve() not in kept]

    def remove_outdated(self) -> None:
        while self.outdated:
            self.outdated.pop().unlink(missing_ok=True)


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """mmengine's ``CheckpointHook``, with files that a kill cannot spoil.

    It takes the same arguments and writes the same files, but

    - every file is written beside its target, put on the disk and then moved
      there, and ``last_checkpoint`` likewise; the files that ``max_keep_ckpts``
      and ``save_best`` outdate are deleted after that, so that there is always
      a whole checkpoint;
    - a resume whose ``last_checkpoint`` is empty or names a file that is not
      whole goes on from the newest whole checkpoint, and says so;
    - with ``save_best``, a resume from where a validation was due validates
      first: a kill may have prevented it;
    - a run that does not resume moves the checkpoints that it finds in its
      work dir into ``earlier_1``, ``earlier_2`` ... instead of mixing them with
      its own;
    - an error of writing, such as that of a full disk, names the file; those of
      before stand;
    - a resume onto another model, preprocessing or optimiser is refused.

    Checkpoints are written to local folders only.

    Args:
        *args: As mmengine's hook.
        **kwargs: As mmengine's hook, without ``backend_args`` and
            ``file_client_args``.

    Raises:
        ValueError: If ``out_dir`` is no local folder, or ``backend_args`` or
            ``file_client_args`` is set.
    """

    file_backend: _LateRemoval

    def __init__(self, *args, **kwargs) -> None:
        for name in ("backend_args", "file_client_args"):
            if (value := kwargs.pop(name, None)) is not None:
                raise ValueError(
                    f"default_hooks.checkpoint.{name}={value!r}: mmdyt.CheckpointHook writes to "
                    "local folders only, type='CheckpointHook' to others too"
                )
        super().__init__(*args, **kwargs, backend_args=dict(backend="mmdyt.atomic"))
        if self.out_dir is not None and "://" in str(self.out_dir):
            raise ValueError(
                f"default_hooks.checkpoint.out_dir={str(self.out_dir)!r} is no local folder: "
                "mmdyt.CheckpointHook writes to those only, type='CheckpointHook' to others too"
            )

    def before_run(self, runner) -> None:
        """Choose the checkpoint of a resume that names none.

        Raises:
            ValueError: If there are checkpoints and none of them is whole.
        """
        if not runner._resume or runner._load_from is not None:
            return
        checkpoint = newest_checkpoint(runner.work_dir)
        pointer = Path(runner.work_dir) / POINTER
        if checkpoint is not None:
            runner._load_from = str(checkpoint)
        elif pointer.is_file():
            runner.logger.warning(f"{pointer} names no checkpoint: starting from the beginning")
            pointer.unlink(missing_ok=True)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Refuse to resume what is not the same run.

        Raises:
            ValueError: If training should resume from an adapter file, which
                has no optimiser state, or from a run of another model,
                preprocessing or optimiser.
        """
        if not runner._resume:
            return
        metadata = getattr(checkpoint.get("state_dict"), "_metadata", {})
        if ADAPTER_META in metadata.get("", {}):
            raise ValueError(
                "an adapter-only checkpoint has no optimiser state to resume from: resume from "
                "the epoch_*.pth or iter_*.pth beside it, or set load_from without resume"
            )
        require_same_run(checkpoint["meta"].get("cfg"), runner.cfg)
        require_same_groups(checkpoint.get("optimizer"), runner.optim_wrapper, runner.model)

    def before_train(self, runner) -> None:
        """Prepare the folder, and validate where a kill may have prevented it."""
        super().before_train(runner)
        self.file_backend = _LateRemoval()
        dist.barrier()  # all processes have loaded what they start from
        if dist.is_main_process():
            self._tidy(runner)
        if self.save_best and runner._resume and self._validation_is_due(runner):
            self.last_ckpt = runner._load_from  # a new best one is noted there too
            runner.val_loop.run()

    def _tidy(self, runner) -> None:
        """Remove what a kill left, or move what an earlier run left."""
        work_dir, pattern = Path(runner.work_dir), self.filename_tmpl.format("*")
        for folder in {work_dir, Path(self.out_dir)}:
            if folder.is_dir():
                remove_leftovers(folder)
        if runner._resume:
            resumed = Path(runner._load_from or work_dir)
            for name in runner.message_hub.runtime_info.get(OUTDATED, []):
                resumed.with_name(name).unlink(missing_ok=True)
            return
        adapters = [hook for hook in runner.hooks if isinstance(hook, AdapterCheckpointHook)]
        files = [
            work_dir / POINTER,
            *(work_dir / hook.filename for hook in adapters),
            *Path(self.out_dir).glob(pattern),
            *Path(self.out_dir).glob(f"best_*{pattern}"),
        ]
        moved = set_aside(files, work_dir)
        if moved:
            runner.logger.warning(
                f"{work_dir} holds the checkpoints of an earlier run, which this one does not "
                f"resume (--resume, resume=True): they are now in {moved}"
            )

    @staticmethod
    def _validation_is_due(runner) -> bool:
        loop = runner.train_loop
        if runner.val_loop is None:
            return False
        by_epoch = isinstance(loop, EpochBasedTrainLoop)
        done, last = (loop.epoch, loop.max_epochs) if by_epoch else (loop.iter, loop.max_iters)
        at_interval = done % loop.val_interval == 0 or done == last
        return at_interval and done >= max(loop.val_begin, 1)

    def _save_checkpoint(self, runner) -> None:
        with _named_errors(runner):
            super()._save_checkpoint(runner)

    def _save_best_checkpoint(self, runner, metrics) -> None:
        with _named_errors(runner):
            super()._save_best_checkpoint(runner, metrics)

    def _save_checkpoint_with_step(self, runner, step: int, meta: dict) -> None:
        """Write the checkpoint, then the pointer to it, then delete what is outdated."""
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                old = self.filename_tmpl.format(self.keep_ckpt_ids.popleft())
                self.file_backend.remove(Path(self.out_dir) / old)
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info("keep_ckpt_ids", list(self.keep_ckpt_ids))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        best = getattr(self, "best_ckpt_path_dict", {"": getattr(self, "best_ckpt_path", None)})
        self.file_backend.keep((self.last_ckpt, *best.values()))
        # For the run that resumes from here, if a kill comes before they are deleted.
        outdated = [path.name for path in self.file_backend.outdated]
        runner.message_hub.update_info(OUTDATED, outdated)
        runner.save_checkpoint(
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if dist.is_main_process():
            with atomic_path(Path(runner.work_dir) / POINTER) as path:
                path.write_text(self.last_ckpt)
            self.file_backend.remove_outdated()


@contextmanager
def _named_errors(runner) -> Iterator[None]:
    """Say of an error of writing what was not saved, and what stands."""
    try:
        yield
    except OSError as error:
        pointer = Path(runner.work_dir) / POINTER
        last = pointer.read_text().strip() if pointer.is_file() else None
        stands = f"{last} stands, and --resume goes on from it" if last else "there was none before"
        message = f"{error.strerror or error}, the checkpoint was not saved; {stands}"
        raise OSError(error.errno, message, error.filename) from error
