"""A suite is tasks x methods x seeds, resolved to configs before any of them runs."""

import pytest

from mmdyt.engine.run_spec import CONFIG, fingerprint
from mmdyt.engine.suite import Suite
from tests.conftest import REPO

FILE = """
title, metric, seeds = "A suite", "accuracy/top1", [0, 1]
tasks = {
    "one": dict(group="natural", cfg_options={"model.head.num_classes": 7, "max_epochs": 2}),
    "two": dict(),
}
methods = {
    "dyt": dict(config="{folder}/{{task}}.py", cfg_options={"max_epochs": 3}),
    "linear": dict(config="{folder}/two.py", tasks=["two"]),
}
"""


@pytest.fixture
def suite_file(tmp_path):
    for name in ("one", "two"):
        text = f"name = '{name}'\nmax_epochs = 1\nmodel = dict(head=dict(num_classes=10))\n"
        (tmp_path / f"{name}.py").write_text(text)
    path = tmp_path / "small.py"
    path.write_text(FILE.replace("{folder}", str(tmp_path)).replace("{{", "{").replace("}}", "}"))
    return path


def test_all_of_the_first_seed_comes_first(suite_file):
    suite = Suite.fromfile(suite_file)
    names = [run.name for run in suite.runs()]
    assert names == [
        f"{task}/seed{seed}" for seed in (0, 1) for task in ("one/dyt", "two/dyt", "two/linear")
    ]
    assert str(suite.runs()[0].work_dir) == "work_dirs/suites/small/one/dyt/seed0"
    assert suite.runs()[0].group == "natural"


def test_a_selection_keeps_the_order(suite_file):
    suite = Suite.fromfile(suite_file)
    runs = suite.runs(tasks=["two", "one"], methods=["dyt"], seeds=[1])
    assert [run.name for run in runs] == ["one/dyt/seed1", "two/dyt/seed1"]
    assert suite.runs(tasks=["one"], methods=["linear"]) == []


def test_options_of_the_method_win_over_the_task_and_those_of_the_call_over_all(suite_file):
    one, two = Suite.fromfile(suite_file).runs(methods=["dyt"], seeds=[1])
    cfg = one.config()
    assert (cfg.name, cfg.max_epochs, cfg.model.head.num_classes) == ("one", 3, 7)
    assert cfg.randomness.seed == 1
    assert two.config().model.head.num_classes == 10  # no run changes another's config
    run = Suite.fromfile(suite_file, cfg_options={"max_epochs": 9}).runs()[0]
    assert run.config().max_epochs == 9


def test_every_run_has_a_fingerprint_of_its_own_wherever_it_lies(suite_file, tmp_path):
    runs = Suite.fromfile(suite_file).runs()
    moved = Suite.fromfile(suite_file, out=tmp_path / "elsewhere").runs()
    prints = [fingerprint(run.config()) for run in runs]
    assert len(set(prints)) == len(runs)
    assert prints == [fingerprint(run.config()) for run in moved]


def test_a_folder_of_another_config_is_stale_and_steps_aside(suite_file, tmp_path):
    run = Suite.fromfile(suite_file, out=tmp_path / "out").runs()[0]
    assert run.status() == "missing"
    run.work_dir.mkdir(parents=True)
    (run.work_dir / CONFIG).write_text(run.config().pretty_text)
    assert run.status() == "missing"  # cut off: goes on
    config = tmp_path / "one.py"
    config.write_text(config.read_text() + "# a comment\n")
    assert Suite.fromfile(suite_file, out=tmp_path / "out").runs()[0].status() == "missing"
    config.write_text(config.read_text() + "lr = 1\n")
    run = Suite.fromfile(suite_file, out=tmp_path / "out").runs()[0]
    assert run.status() == "stale"
    for name in ("seed0.old1", "seed0.old2"):
        run.prepare()
        assert run.work_dir.with_name(name).is_dir() and run.status() == "missing"
        run.work_dir.mkdir()
        (run.work_dir / CONFIG).write_text("lr = 2\n")


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("metric", "metrics", "needs 'metric'"),
        ("config=", "file=", r"methods\['dyt'\]: 'file' is unknown; .*'config'"),
        ('config="', 'title="', r"methods\['dyt'\] needs 'config'"),
        ("group=", "groups=", r"tasks\['one'\]: 'groups' is unknown; .*'group'"),
        ('tasks=["two"]', 'tasks=["three"]', r"methods\['linear'\].tasks: 'three' .*'one', 'two'"),
    ],
)
def test_a_wrong_suite_is_refused_with_the_key(suite_file, old, new, message):
    suite_file.write_text(suite_file.read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        Suite.fromfile(suite_file)


def test_wrong_choices_and_missing_configs_are_named(suite_file, tmp_path):
    suite = Suite.fromfile(suite_file)
    with pytest.raises(ValueError, match=r"methods: 'lora' is unknown; .*'dyt', 'linear'"):
        suite.runs(methods=["lora"])
    with pytest.raises(ValueError, match="seeds: 5 is unknown"):
        suite.runs(seeds=[5])
    (tmp_path / "two.py").unlink()
    with pytest.raises(FileNotFoundError, match=r"methods\['dyt'\].config of task 'two'"):
        suite.runs()


@pytest.mark.parametrize(
    "path", sorted((REPO / "configs/suites").glob("*.py")), ids=lambda p: p.stem
)
def test_every_shipped_suite_resolves(path, monkeypatch):
    monkeypatch.chdir(REPO)
    runs = Suite.fromfile(path).runs()
    assert runs
    for run in {(run.method, run.task): run for run in runs}.values():
        assert run.config().model.type
