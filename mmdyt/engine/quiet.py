"""Keep mmengine's reports on every parameter from the terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.logging import MMLogger


@contextmanager
def quiet() -> Iterator[None]:
    """Let mmengine's logger show errors only, for a while.

    It reports how every parameter was initialised, and warns that a plain
    checkpoint has no adapters.
    """
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
