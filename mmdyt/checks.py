"""Range checks of config values: one wording, before any work starts."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any


def check_number(key: str, value: Any, interval: str) -> None:
    """Refuse what is not a number of an interval.

    Args:
        key: The config key, such as ``'dispatcher.tau'``.
        value: What the config says.
        interval: In the usual notation, such as ``'(0, 1]'`` or ``'(0, inf)'``.

    Raises:
        ValueError: Naming key, interval and value. Booleans and strings are no
            numbers, and NaN is in no interval.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not _is_inside(value, interval):
        raise ValueError(f"{key} must be a number in {interval}, got {value!r}")


def check_integer(key: str, value: Any, interval: str) -> None:
    """Refuse what is not an integer of an interval.

    Args:
        key: The config key, such as ``'adapter.bottleneck_dims'``.
        value: What the config says.
        interval: In the usual notation, such as ``'[1, inf)'``.

    Raises:
        ValueError: Naming key, interval and value.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or not _is_inside(value, interval):
        raise ValueError(f"{key} must be an integer in {interval}, got {value!r}")


def check_choice(key: str, value: Any, choices: Any) -> None:
    """Refuse what is not among the choices.

    Args:
        key: The config key, such as ``'adapter.norm'``.
        value: What the config says.
        choices: The values that are allowed.

    Raises:
        ValueError: Naming key, value and choices.
    """
    if value not in list(choices):
        raise ValueError(f"{key}={value!r} is unknown; choose one of {list(choices)}")


def _is_inside(value: Any, interval: str) -> bool:
    low, high = map(float, interval[1:-1].split(","))
    above = value > low if interval[0] == "(" else value >= low
    below = value < high if interval[-1] == ")" else value <= high
    return above and below
