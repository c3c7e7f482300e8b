"""Pre-train the small encoder, tune it with every method, print a table.

``python -m projects.point_clouds.run`` from the repository's root; what an earlier
call finished is reused. Delete the work dir to start anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mmdyt.engine.checkpoints import newest_checkpoint
from mmdyt.engine.run_spec import SuiteRun
from mmdyt.engine.suite import Suite
from mmdyt.engine.suite_launchers.local import run_local
from mmdyt.engine.suite_launchers.progress import SweepProgress
from mmdyt.fileio import locked
from tools.collect_results import collect, columns_of, make_rows, to_markdown
from tools.model_converters.publish import publish

CONFIGS = "projects/point_clouds/configs/{}.py"
WORK_DIR = Path("work_dirs/point_clouds")
WEIGHTS = WORK_DIR / "pretrained.safetensors"  # where the configs read them
METHODS = {
    "linear": "head alone",
    "full": "full tuning",
    "adaptformer": "AdaptFormer",
    "dyt": "DyT r = 0.5",
    "dapt": "DAPT",
    "dapt_dispatch": "DAPT with dispatch, r = 0.5",
}


def suite(name: str, digits: str, methods: dict[str, str], seeds: Sequence[int]) -> Suite:
    """One task, and methods by the name of their config."""
    return Suite(
        name=name,
        title=f"Clouds of the digits {digits}, {len(seeds)} seeds",
        metric="accuracy/top1",
        tasks={"clouds": dict(title=f"digits {digits}, %")},
        methods={
            key: dict(title=title, config=CONFIGS.format(key)) for key, title in methods.items()
        },
        seeds=list(seeds),
        out=WORK_DIR / name,
    )


def finish(runs: list[SuiteRun], out: Path, workers: int) -> None:
    """Do what is left of some runs.

    Raises:
        RuntimeError: If one fails; its ``record.json`` has the whole error.
    """
    todo = [run for run in runs if run.status() != "done"]
    if not todo:
        return
    with (
        locked(out / "sweep.lock", "another sweep"),
        SweepProgress(len(todo), runs[0].metric) as bar,
    ):
        run_local(todo, workers, out, bar)
    if failed := [run.name for run in todo if run.status() != "done"]:
        raise RuntimeError(f"failed: {failed}; see record.json and worker*.log in {out}")


def main() -> None:
    """Do all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="processes; default: 2")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="default: 0 1")
    args = parser.parse_args()
    before = suite("pretrain", "0 to 4", {"pretrain": "pre-training"}, [0])
    (run,) = before.runs()
    finish([run], before.out, 1)
    record, checkpoint = run.record(), newest_checkpoint(run.work_dir)
    assert record and checkpoint
    publish(checkpoint, WEIGHTS, record["metrics"], "python -m projects.point_clouds.run")
    tuned = suite("tuned", "5 to 9", METHODS, args.seeds)
    finish(tuned.runs(), tuned.out, args.workers)
    methods = collect(tuned)
    table = to_markdown(columns_of(tuned, methods), make_rows(tuned, methods))
    Console().print(f"# {tuned.title}\n\n{table}", highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
