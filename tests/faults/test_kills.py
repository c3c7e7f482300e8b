"""Killed anywhere, a run resumes to the end of the uninterrupted one, and nothing is lost."""

from __future__ import annotations

import gc
import random
import shutil
from pathlib import Path

import mmengine.runner.runner
import pytest
from mmengine.config import Config

from mmdyt.datasets.digits import write_digits
from mmdyt.datasets.video_motion import write_motion_videos
from tests.faults import runs
from tests.faults.kills import Aim, AimedKillHook
from tests.faults.runs import Outcome, prepared, run_forked
from tests.faults.tally import Fate, Tally

pytestmark = pytest.mark.faults

HOSTS = ["image", "video", "segmentation"]
RANDOM_KILLS = dict(image=17, video=17, segmentation=16)
HOOKS = ["mmdyt", "mmengine"]


class Reference:
    """A run's config and, by whose hooks write its checkpoints, its uninterrupted end."""

    def __init__(self, cfg: Config, root: Path) -> None:
        self.cfg, self.root = cfg, root
        self.work_dir = {hooks: root / hooks / "straight" for hooks in HOOKS}
        self.seconds = {hooks: self._run(hooks).seconds for hooks in HOOKS}
        self.result = {hooks: runs.result(self.work_dir[hooks]) for hooks in HOOKS}

    def _run(self, hooks: str) -> Outcome:
        outcome = run_forked(prepared(self.cfg, self.work_dir[hooks], hooks))
        assert outcome.status == 0, outcome.log[-3000:]
        return outcome

    def fate(self, hooks: str, number: int, workers: int, kill_hooks=(), kill_after=None):
        """Kill a run, resume it, and look.

        Returns:
            The fate, and what to print where it is bad; ``None`` where the run
            came to its end before the kill.
        """
        folder = self.root / hooks / f"killed_{number}"
        cfg = prepared(self.cfg, folder, hooks, workers)
        killed = run_forked(cfg, kill_hooks, kill_after)
        if killed.status == 0:
            return None
        assert killed.status < 0, killed.log[-3000:]
        torn = runs.torn_files(folder)
        newest = max(runs.checkpoints(folder), default=0)
        resumed = run_forked(prepared(self.cfg, folder, hooks, workers, resume=True))
        end = runs.result(folder) if resumed.status == 0 else {}
        fate = Fate(
            torn=bool(torn),
            lost=newest < killed.saved,
            resumed=resumed.status == 0,
            from_zero=resumed.start == 0 and killed.saved > 0,
            equal=runs.equal(end, self.result[hooks]),
            tidy=runs.listing(folder) == runs.listing(self.work_dir[hooks]),
        )
        told = f"{fate}\n{killed}\n{torn}\n{resumed}\n{runs.listing(folder)}"
        shutil.rmtree(folder)
        return fate, told


@pytest.fixture(scope="module")
def references(tmp_path_factory):
    """References by host, made when first asked for."""
    environment = mmengine.runner.runner.collect_env()
    root = tmp_path_factory.mktemp("faults")
    write_digits(root / "digits")
    write_motion_videos(root / "motion", num_train=16, num_test=4)
    runs.write_scenes(root / "scenes")
    gc.freeze()  # mmengine collects garbage at every start, and the libraries are large
    with pytest.MonkeyPatch.context() as patch:
        # Every runner asks compilers and drivers for their versions, which takes a second.
        patch.setattr("mmengine.runner.runner.collect_env", lambda: environment)
        yield {
            "image": Reference(runs.image_config(root / "digits"), root / "image"),
            "video": Reference(runs.video_config(root / "motion"), root / "video"),
            "segmentation": Reference(runs.segmentation_config(root / "scenes"), root / "seg"),
        }


@pytest.mark.parametrize("host", HOSTS)
def test_random_kills(references, host, tally: Tally):
    """At random times from the start of the training to its end, with 0 and 2 data workers."""
    reference, rng = references[host], random.Random(host)
    bad = []
    for number in range(RANDOM_KILLS[host]):
        for hooks in HOOKS:
            fraction = (number + rng.random()) / RANDOM_KILLS[host]
            found = None
            while found is None:  # a run that was faster than the kill is killed earlier
                after = fraction * reference.seconds[hooks]
                found = reference.fate(hooks, number, workers=number % 2 * 2, kill_after=after)
                fraction *= 0.9
            tally.add("at random points", hooks, found[0])
            if hooks == "mmdyt" and not found[0].good:
                bad.append(found[1])
    assert not bad, "\n\n".join(bad)


def aims(reference: Reference, hooks: str) -> list[Aim]:
    """Ten moments of the second checkpoint; sizes are those of this run's own files."""
    folder = reference.work_dir[hooks]
    size = max(path.stat().st_size for path in runs.checkpoints(folder).values())
    # With a best checkpoint an epoch has three writes: the last, the best, the last again.
    second = 4 if list(folder.glob("best_*")) else 2
    return [
        *(Aim(second, "byte", int(size * share)) for share in (0.05, 0.3, 0.6, 0.95)),
        Aim(second, "written"),
        Aim(second, "pointer"),
        Aim(second, "pointer byte", 0),
        Aim(second, "pointer byte", 10),
        Aim(second, "delete"),
        Aim(second, "deleted"),
    ]


@pytest.mark.parametrize("host", HOSTS)
def test_kills_aimed_at_saves(references, host, tally: Tally):
    """While a file is written, before it is moved, around the pointer and the deletions."""
    reference = references[host]
    bad = []
    for hooks in HOOKS:
        for number, aim in enumerate(aims(reference, hooks)):
            found = reference.fate(hooks, number, number % 2 * 2, [AimedKillHook(aim)])
            assert found is not None, f"{hooks}, {aim}: the run passed the moment by"
            tally.add("aimed at saves", hooks, found[0])
            if hooks == "mmdyt" and not found[0].good:
                bad.append(f"{aim}\n{found[1]}")
    assert not bad, "\n\n".join(bad)


@pytest.mark.parametrize("save", [4, 5, 6])
def test_kills_aimed_at_the_best_checkpoint(references, save, tally: Tally):
    """Of the three writes of the second epoch, the second is that of the new best one."""
    reference = references["image"]
    bad = []
    for hooks in HOOKS:
        size = max(p.stat().st_size for p in runs.checkpoints(reference.work_dir[hooks]).values())
        for number, moment in enumerate([("byte", size // 2), ("written", 0), ("deleted", 0)]):
            found = reference.fate(hooks, number, 0, [AimedKillHook(Aim(save, *moment))])
            assert found is not None, f"{hooks}, {moment}: the run passed the moment by"
            tally.add("aimed at saves of the best", hooks, found[0])
            if hooks == "mmdyt" and not found[0].good:
                bad.append(f"{save}, {moment}\n{found[1]}")
    assert not bad, "\n\n".join(bad)
