"""Killed anywhere, a run resumes to the end of the uninterrupted one, and nothing is lost."""

from __future__ import annotations

import random

import pytest

from tests.faults.kills import Aim, AimedKillHook
from tests.faults.reference import HOOKS, Reference
from tests.faults.tally import Tally

pytestmark = pytest.mark.faults

HOSTS = ["image", "video", "segmentation"]
RANDOM_KILLS = dict(image=17, video=17, segmentation=16)


@pytest.mark.parametrize("host", HOSTS)
def test_random_kills(references, host, tally: Tally):
    """At random times from the start of the training to its end, with 0 and 2 data workers."""
    reference, rng = references[host], random.Random(host)
    bad = []
    for number in range(RANDOM_KILLS[host]):
        drawn = (number + rng.random()) / RANDOM_KILLS[host]
        for hooks in HOOKS:
            fraction, found = drawn, None
            while found is None:  # a run that was faster than the kill is killed earlier
                after = fraction * reference.seconds[hooks]
                found = reference.kill(hooks, number, number % 2 * 2, kill_after=after)
                fraction *= 0.9
            tally.add("at random points", hooks, found[0])
            if hooks == "mmdyt" and not found[0].good:
                bad.append(found[1])
    assert not bad, "\n\n".join(bad)


def kill_at(reference: Reference, aims: dict[str, list[Aim]], kind: str, tally: Tally) -> None:
    """Kill runs at moments of their saves, given by whose hooks write them."""
    bad = []
    for hooks in HOOKS:
        for number, aim in enumerate(aims[hooks]):
            found = reference.kill(hooks, number, number % 2 * 2, [AimedKillHook(aim)])
            assert found is not None, f"{hooks}, {aim}: the run passed the moment by"
            tally.add(kind, hooks, found[0])
            if hooks == "mmdyt" and not found[0].good:
                bad.append(f"{aim}\n{found[1]}")
    assert not bad, "\n\n".join(bad)


@pytest.mark.parametrize("host", HOSTS)
def test_kills_aimed_at_saves(references, host, tally: Tally):
    """While a file is written, before it is moved, around the pointer and the deletions."""
    reference, aims = references[host], {}
    # With a best checkpoint an epoch has three writes: the last, the best, the last again.
    second = 4 if host == "image" else 2
    for hooks in HOOKS:
        size = reference.checkpoint_size(hooks)
        aims[hooks] = [
            *(Aim(second, "byte", int(size * share)) for share in (0.05, 0.3, 0.6, 0.95)),
            Aim(second, "written"),
            Aim(second, "pointer"),
            Aim(second, "pointer byte", 0),
            Aim(second, "pointer byte", 10),
            Aim(second, "delete"),
            Aim(second, "deleted"),
        ]
    kill_at(reference, aims, "aimed at saves", tally)


def test_kills_aimed_at_the_best_checkpoint(references, tally: Tally):
    """The second epoch's writes of the new best checkpoint, and of the last one after it."""
    reference = references["image"]
    aims = {
        hooks: [
            Aim(save, moment, reference.checkpoint_size(hooks) // 2)
            for save in (5, 6)
            for moment in ("byte", "written", "pointer", "deleted")
        ]
        for hooks in HOOKS
    }
    kill_at(reference, aims, "aimed at saves of the best", tally)
