"""A suite: every method on every task with every seed, as data.

A suite file holds ``title``, ``metric``, ``tasks``, ``methods`` and ``seeds``::

    tasks = {"cifar": dict(group="natural", title="CIFAR-100", cfg_options={...})}
    methods = {
        "dyt": dict(
            title="DyT r = 0.5",
            config="configs/image/vtab1k/{task}/vit-b16_dyt.py",
            cfg_options={"model.dyt.target_rate": 0.5},  # dotted keys, over the task's
            tasks=["cifar"],  # only these; default: all
            paper=dict(mean=77.14, gflops=12.54),
        ),
    }

``cfg_options`` have the dotted keys of ``--cfg-options``; ``group``, ``title``,
``cfg_options``, ``tasks`` and ``paper`` may be left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmdyt.engine.run_spec import SuiteRun, cached_config
from mmdyt.package_files import package_file

TASK_KEYS = ("group", "title", "cfg_options")
METHOD_KEYS = ("config", "title", "cfg_options", "tasks", "paper")


@dataclass(frozen=True)
class Suite:
    """Tasks, methods and seeds, and where their results go.

    Args:
        name: Name of the suite: that of its file.
        title: What to call it in tables.
        metric: The metric of a record that counts, such as ``'accuracy/top1'``.
        tasks: Tasks by name: ``group``, ``title``, ``cfg_options``.
        methods: Methods by name: ``config``, ``title``, ``cfg_options``,
            ``tasks``, ``paper``.
        seeds: Seeds of every method on every task.
        out: Folder of all runs.
        cfg_options: Overrides of every run, over those of tasks and methods.
            Defaults to none.

    Raises:
        ValueError: If anything is missing, a key is unknown, or a method names
            unknown tasks.
    """

    name: str
    title: str
    metric: str
    tasks: dict[str, dict[str, Any]]
    methods: dict[str, dict[str, Any]]
    seeds: list[int]
    out: Path
    cfg_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cached_config.cache_clear()  # configs are read afresh with their suite
        for key in ("title", "metric", "tasks", "methods", "seeds"):
            if not getattr(self, key):
                raise ValueError(f"suite {self.name} needs {key!r}")
        for kind, keys in (("tasks", TASK_KEYS), ("methods", METHOD_KEYS)):
            for name, spec in getattr(self, kind).items():
                where = f"suite {self.name}: {kind}[{name!r}]"
                _select(spec, keys, where)
                if kind == "methods" and "config" not in spec:
                    raise ValueError(f"{where} needs 'config'")
                _select(spec.get("tasks"), self.tasks, f"{where}.tasks")

    @classmethod
    def fromfile(
        cls,
        path: str | Path,
        out: str | Path | None = None,
        cfg_options: Mapping[str, Any] | None = None,
    ) -> Suite:
        """Read a suite file.

        Args:
            path: A file of mmengine's config syntax; those that come with mmdyt are
                found from any folder.
            out: Folder of all runs. Defaults to ``None``:
                ``work_dirs/suites/<name of the file>``.
            cfg_options: Overrides of every run, with dotted keys. Defaults to
                ``None``.

        Returns:
            The suite.
        """
        cfg, name = Config.fromfile(package_file(path)).to_dict(), Path(path).stem
        return cls(
            name=name,
            **{key: cfg.get(key) for key in ("title", "metric", "tasks", "methods", "seeds")},
            out=Path(out or Path("work_dirs/suites") / name),
            cfg_options=dict(cfg_options or {}),
        )

    def runs(
        self,
        tasks: Collection[str] | None = None,
        methods: Collection[str] | None = None,
        seeds: Collection[int] | None = None,
    ) -> list[SuiteRun]:
        """List the runs: all of the first seed, then of the next.

        A suite that is cut off then lacks seeds rather than tasks.

        Args:
            tasks: Only these tasks. Defaults to ``None``: all.
            methods: Only these methods. Defaults to ``None``: all.
            seeds: Only these seeds. Defaults to ``None``: all.

        Returns:
            The runs in the order in which to do them.

        Raises:
            ValueError: If a task, method or seed is not in the suite.
            FileNotFoundError: If a method has no config for a task.
        """
        chosen = itertools.product(
            _select(seeds, self.seeds, "seeds"),
            _select(tasks, self.tasks, "tasks"),
            _select(methods, self.methods, "methods"),
        )
        return [
            self._run(task, method, seed)
            for seed, task, method in chosen
            if task in self.methods[method].get("tasks", self.tasks)
        ]

    def _run(self, task: str, method: str, seed: int) -> SuiteRun:
        source = str(package_file(self.methods[method]["config"].format(task=task)))
        if not Path(source).is_file():
            raise FileNotFoundError(
                f"suite {self.name}: methods[{method!r}].config of task {task!r}: no file {source}"
            )
        levels = (self.tasks[task], self.methods[method])
        options = {k: v for level in levels for k, v in level.get("cfg_options", {}).items()}
        return SuiteRun(
            suite=self.name,
            task=task,
            group=self.tasks[task].get("group", ""),
            method=method,
            seed=seed,
            source=source,
            cfg_options=options | self.cfg_options,
            work_dir=self.out / task / method / f"seed{seed}",
            metric=self.metric,
        )


def _select(wanted: Collection | None, known: Collection, what: str) -> list:
    if wanted is None:
        return list(known)
    for each in wanted:
        if each not in known:
            raise ValueError(f"{what}: {each!r} is unknown; choose from {list(known)}")
    return [each for each in known if each in wanted]
