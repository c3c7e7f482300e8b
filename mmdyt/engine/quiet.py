"""Keep mmengine's reports on every parameter from terminal and log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.logging import MMLogger


@contextmanager
def quiet() -> Iterator[None]:
    """Let mmengine's logger show errors only, and write no file, for a while.

    It reports how every parameter was initialised, straight into the log file of
    a run that may be over, and warns that a plain checkpoint has no adapters.
    """
    logger = MMLogger.get_current_instance()
    level, handlers = logger.level, logger.handlers
    logger.setLevel(logging.ERROR)
    logger.handlers = [one for one in handlers if not isinstance(one, logging.FileHandler)]
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.handlers = handlers
