"""Print what became of the killed runs."""

from __future__ import annotations

import pytest

from tests.faults.tally import Tally

TALLY = pytest.StashKey[Tally]()


def pytest_configure(config):
    config.stash[TALLY] = Tally()


@pytest.fixture
def tally(request) -> Tally:
    """What the end of the session prints."""
    return request.config.stash[TALLY]


def pytest_terminal_summary(terminalreporter, config):
    if config.stash[TALLY].rows:
        terminalreporter.write_line(f"\n{config.stash[TALLY]}\n")
