"""Skip videos that cannot be read, count them, and stop where they are too many."""

from __future__ import annotations

import logging
from typing import Any

import torch
from mmengine.logging import print_log


class SkipUnreadableMixin:
    """Let a video dataset of mmaction2 survive a few broken files.

    Put it before the host class. In training a file that cannot be read is
    named in the log and another one is drawn in its place (mmengine's refetch).
    The files are counted once each, over all data workers and epochs of a
    process; one more than the allowed share stops the run. In validation and
    test no file may be passed over, the error names it.

    Args:
        *args: As the host class.
        max_unreadable_share (float): Largest share of unreadable files in
            training, in [0, 1). Defaults to 0.01.
        **kwargs: As the host class.

    Raises:
        ValueError: If the share is outside its range.
    """

    # What decoders raise: decord RuntimeError, OpenCV and PyAV OSError and
    # ValueError, transforms on an empty clip the others.
    READ_ERRORS = (RuntimeError, OSError, ValueError, IndexError, ZeroDivisionError)

    def __init__(self, *args, max_unreadable_share: float = 0.01, **kwargs) -> None:
        if not 0 <= max_unreadable_share < 1:
            raise ValueError(
                f"dataset.max_unreadable_share must be in [0, 1), got {max_unreadable_share}"
            )
        self.max_unreadable_share = max_unreadable_share
        super().__init__(*args, **kwargs)

    def full_init(self) -> None:
        """Read the list, and set up the count that all data workers share."""
        if not getattr(self, "_fully_initialized", False):
            super().full_init()  # type: ignore[misc]
            self._unreadable = torch.zeros(len(self), dtype=torch.bool).share_memory_()  # type: ignore[arg-type]

    @property
    def num_unreadable(self) -> int:
        """Different files that could not be read so far."""
        return int(self._unreadable.sum())

    def prepare_data(self, idx: int) -> Any:
        """Load one video.

        Args:
            idx: Position in the list.

        Returns:
            What the pipeline makes of it, ``None`` for an unreadable file in
            training.

        Raises:
            RuntimeError: If the file is unreadable in validation or test, or in
                training if too many are.
        """
        try:
            return super().prepare_data(idx)  # type: ignore[misc]
        except self.READ_ERRORS as error:
            name = self.get_data_info(idx)["filename"]  # type: ignore[attr-defined]
            if self.test_mode:  # type: ignore[attr-defined]
                raise RuntimeError(f"cannot read {name}: {error}") from error
            self._count(idx, name, error)
            return None

    def _count(self, idx: int, name: str, error: Exception) -> None:
        if self._unreadable[idx]:
            return
        self._unreadable[idx] = True
        bad, total = self.num_unreadable, len(self._unreadable)
        print_log(f"skipped unreadable video {bad}: {name}: {error}", "current", logging.WARNING)
        if bad > self.max_unreadable_share * total:
            raise RuntimeError(
                f"{bad} of {total} videos are unreadable, more than "
                f"dataset.max_unreadable_share={self.max_unreadable_share:g} allows; the last is "
                f"{name}: {error}. tools/dataset_converters/video_lists.py lists all of them."
            )
