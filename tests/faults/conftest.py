"""References of the killed runs, and the table of what became of them."""

from __future__ import annotations

import gc

import mmengine.runner.runner
import pytest

from mmdyt.datasets.digits import write_digits
from mmdyt.datasets.video_motion import write_motion_videos
from tests.faults import runs
from tests.faults.reference import Reference
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


@pytest.fixture(scope="session")
def references(tmp_path_factory):
    """A reference a host."""
    root = tmp_path_factory.mktemp("faults")
    write_digits(root / "digits")
    write_motion_videos(root / "motion", num_train=16, num_test=4)
    runs.write_scenes(root / "scenes")
    environment = mmengine.runner.runner.collect_env()
    gc.freeze()  # mmengine collects garbage at every start, and the libraries are large
    with pytest.MonkeyPatch.context() as patch:
        # Every runner asks compilers and drivers for their versions, which takes a second.
        patch.setattr("mmengine.runner.runner.collect_env", lambda: environment)
        yield {
            "image": Reference(runs.image_config(root / "digits"), root / "image"),
            "video": Reference(runs.video_config(root / "motion"), root / "video"),
            "segmentation": Reference(runs.segmentation_config(root / "scenes"), root / "seg"),
        }
