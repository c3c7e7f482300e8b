"""The way into every tool: wrong input ends in a few lines instead of a traceback."""

from __future__ import annotations

import argparse
import logging
import os
import re
import tempfile
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path

from mmengine.logging import MMLogger

SHOW_TRACEBACK = "MMDYT_TRACEBACK"
MAX_LINES = 25
# What wrong input raises, by itself or in a library; other types may be a bug and are named.
INPUT_ERRORS = (ValueError, LookupError, OSError, SyntaxError, ImportError)
# mmengine before 0.10.8 puts this before the message of whatever a constructor raises.
BUILT_FROM = re.compile(r"^(class|function) `\w+` in [\w/.]+\.py: ")


def tool(main: Callable[[], None]) -> Callable[[], None]:
    """Let a tool's ``main`` end with one error of a few lines and exit status 1.

    ``MMDYT_TRACEBACK=1`` shows the traceback. It also goes into the log file of
    the run, if one has begun: an error after hours needs no second run.

    Args:
        main: Reads the command line and does the work.

    Returns:
        A function that does the same and turns what it raises into
        ``SystemExit``.
    """

    @wraps(main)
    def run() -> None:
        if os.environ.get(SHOW_TRACEBACK) == "1":
            return main()
        try:
            main()
        except SystemExit as stop:
            if isinstance(stop.code, str):
                raise SystemExit(f"error: {stop.code}") from None
            raise
        except Exception as error:
            log = _log_traceback(error)
            hint = f"the traceback is in {log}" if log else f"{SHOW_TRACEBACK}=1 shows where"
            raise SystemExit(f"error: {describe(error)}\n({hint})") from None
        return None

    return run


def describe(error: BaseException) -> str:
    """Text of an exception without what libraries put around it.

    Args:
        error: Any exception.

    Returns:
        Its message, of at most 25 lines. Types that tell of a bug rather than
        of wrong input are named, and the place that raised them.
    """
    if isinstance(error, OSError) and error.filename and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    elif isinstance(error, SyntaxError):
        text = f"{error.msg} (line {error.lineno})"
    elif isinstance(error, LookupError) and error.args:
        text = str(error.args[0])  # str() of a KeyError is its quoted repr
    else:
        text = str(error)
    text = _of_worker(text)
    while BUILT_FROM.match(text):
        text = BUILT_FROM.sub("", text)
    if not isinstance(error, INPUT_ERRORS) or not text:
        frames = traceback.extract_tb(error.__traceback__)
        place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
        text = f"{type(error).__name__}: {text}{place}"
    lines = text.strip().splitlines()
    if len(lines) > MAX_LINES:
        lines = [*lines[:MAX_LINES], f"... and {len(lines) - MAX_LINES} more lines"]
    return "\n".join(lines)


def _of_worker(text: str) -> str:
    """The message of what torch's data loader says that it caught in a process."""
    before, found, trace = text.rpartition("Traceback (most recent call last):\n")
    if not found or not before.startswith("Caught "):
        return text
    message = "\n".join(line for line in trace.splitlines() if not line.startswith(" "))
    return message.partition(": ")[2] or message


def _log_traceback(error: Exception) -> str | None:
    """Write the traceback into the run's log file, and return the path of that."""
    for handler in MMLogger.get_current_instance().handlers:
        if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename).exists():
            cause = (type(error), error, error.__traceback__)
            record = logging.LogRecord(
                "mmdyt", logging.ERROR, __file__, 0, "the run failed", None, cause
            )
            handler.handle(record)
            return handler.baseFilename
    return None


def positive_int(text: str) -> int:
    """Type of an option of ``argparse`` that takes an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer of at least 1, got {text}")
    return int(text)


def require_writable(path: str | Path, option: str, suffixes: tuple[str, ...] = ()) -> None:
    """Refuse a file that could not be written after the work.

    Args:
        path: The file. Its folder is made if it is missing.
        option: What named it, such as ``'--out'``.
        suffixes: The suffixes that it may have. Defaults to any.

    Raises:
        ValueError: Naming the option, the path and what is wrong.
    """
    path = Path(path)
    if suffixes and path.suffix not in suffixes:
        raise ValueError(f"{option} must end in {' or '.join(suffixes)}, got {str(path)!r}")
    if path.is_dir():
        raise ValueError(f"{option} {path} is a folder, not a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ValueError(f"{option} {path} cannot be written: {describe(error)}") from error
