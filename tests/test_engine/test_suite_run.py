"""Runs of one process: recorded, resumable, and blind to those before them."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from mmdyt.engine.run_spec import CONFIG, SuiteRun, fingerprint
from mmdyt.engine.suite_run import execute

ENDING = dict(
    custom_imports=dict(imports=["tests.test_engine.ending_hook"], allow_failed_imports=False)
)


@pytest.fixture
def make_run(digits_cfg, tmp_path):
    """Runs of a tiny DyT on 40 digits; keyword arguments change the config."""
    digits_cfg.pop("work_dir")
    digits_cfg.visualizer.name = "visualizer"  # one name for all runs, as a config may say

    def make(name: str = "dyt", **changes) -> SuiteRun:
        digits_cfg.merge_from_dict(changes)
        digits_cfg.dump(tmp_path / f"{name}.py")
        options = {"default_hooks.checkpoint.interval": 1}
        return SuiteRun(
            suite="small",
            task="digits",
            group="natural",
            method=name,
            seed=3,
            source=str(tmp_path / f"{name}.py"),
            cfg_options=options,
            work_dir=tmp_path / "out/digits" / name / "seed3",
        )

    return make


def hooks(cfg_hooks: list, **ending) -> list:
    return [*cfg_hooks, dict(type="mmdyt.EndingHook", **ending)]


def open_files(folder: Path) -> list[str]:
    links = [Path("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
    return [
        str(os.readlink(link))
        for link in links
        if link.is_symlink() and str(folder) in os.readlink(link)
    ]


def test_a_run_is_recorded_with_all_that_its_result_depends_on(make_run):
    run, shares = make_run(), []
    assert run.status() == "missing"
    record = execute(run, shares.append)
    assert run.record() == record
    assert (record["status"], record["error"], run.status()) == ("done", None, "done")
    identity = ("suite", "task", "group", "method", "seed", "config", "cfg_options")
    assert [record[key] for key in identity] == [
        *("small", "digits", "natural", "dyt", 3),
        *(run.source, run.cfg_options),
    ]
    assert {"accuracy/top1", "dispatch/activation_rate", "dispatch/gflops"} <= set(
        record["metrics"]
    )
    assert 0 < record["params"]["trainable"] < record["params"]["total"]
    assert record["fingerprint"] == fingerprint(run.config())
    assert record["versions"]["torch"] and record["host"]["threads"] >= 1
    assert record["seconds"] > 0 and record["started"] <= record["finished"]
    assert "randomness" in (run.work_dir / CONFIG).read_text()
    assert shares and all(0 < share <= 1 for share in shares)


def test_a_run_does_not_depend_on_those_before_it(make_run, tmp_path):
    alone = execute(make_run())
    execute(make_run("other", randomness=dict(seed=9, deterministic=True)))
    after = replace(make_run("dyt"), work_dir=tmp_path / "again")
    after = replace(after, cfg_options={**after.cfg_options, "randomness.deterministic": False})
    assert execute(after)["metrics"] == alone["metrics"]
    curves = list(after.work_dir.glob("*/vis_data/scalars.json"))
    assert len(curves) == 1 and "accuracy/top1" in curves[0].read_text()
    assert not open_files(tmp_path)


def test_an_error_is_recorded_and_the_next_attempt_goes_on(make_run, digits_cfg, tmp_path):
    straight = execute(make_run("straight"))
    once = str(tmp_path / "once")
    ending = hooks(digits_cfg.custom_hooks, at=6, how="RuntimeError", once=once)
    run = make_run("dyt", custom_hooks=ending, **ENDING)
    record = execute(run)
    assert (record["status"], run.status()) == ("failed", "failed")
    assert record["error"].startswith("Traceback")
    assert record["error"].rstrip().endswith("RuntimeError: ended before iteration 6")
    assert not record["metrics"] and not open_files(tmp_path)
    again = execute(run)
    assert again["status"] == "done"
    assert again["metrics"] == straight["metrics"]


def test_a_run_that_was_cut_off_goes_on_even_in_a_folder_that_moved(make_run, digits_cfg, tmp_path):
    straight = execute(make_run("straight"))
    once = str(tmp_path / "once")
    ending = hooks(digits_cfg.custom_hooks, at=6, how="KeyboardInterrupt", once=once)
    run = make_run("dyt", custom_hooks=ending, **ENDING)
    with pytest.raises(KeyboardInterrupt):
        execute(run)
    assert run.status() == "missing" and not open_files(tmp_path)
    moved, shares = replace(run, work_dir=tmp_path / "moved"), []
    run.work_dir.rename(moved.work_dir)
    assert execute(moved, shares.append)["metrics"] == straight["metrics"]
    assert shares[0] == 5 / 8  # the first of two epochs was not done again


def test_another_config_starts_afresh_and_keeps_the_old_folder(make_run):
    old = make_run()
    before = execute(old)
    new = replace(old, cfg_options={**old.cfg_options, "model.dyt.target_rate": 0.9})
    assert new.status() == "stale"
    after = execute(new)
    assert after["fingerprint"] != before["fingerprint"] and new.status() == "done"
    assert after["metrics"] != before["metrics"]
    aside = replace(old, work_dir=old.work_dir.with_name("seed3.old1"))
    assert aside.record() == before
