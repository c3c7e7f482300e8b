"""Do batch norms suffer from statistics of noisy masks?

In training a dispatcher's masks have Gumbel noise, and the batch norms of a segmentation head
gather their running statistics under these; a test has hard masks. This gathers the statistics
of tuned models again, over all their training scenes, with each kind of mask, and tests.

    python tools/sweep.py configs/suites/segmentation_demo_recipe.py --methods dyt-lr0.03
    python -m projects.recipe_study.batch_norms
"""

from __future__ import annotations

import json
import tempfile

import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner, set_random_seed
from rich.progress import track
from torch.nn.modules.batchnorm import _BatchNorm

from mmdyt.engine.budgets import evaluation_runner
from mmdyt.engine.cli import tool
from mmdyt.engine.provenance import host, versions
from mmdyt.engine.run_spec import SuiteRun, fingerprint
from mmdyt.engine.suite import Suite
from mmdyt.fileio import atomic_path
from mmdyt.models.dispatchers import TokenDispatcher
from projects.recipe_study.collect import FOLDER, SUITES

METHOD = "dyt-lr0.03"
FOUND = FOLDER / "batch_norms.json"


@torch.no_grad()
def gather_statistics(model: BaseModel, batches: list[dict], noisy: bool) -> None:
    """Gather the running statistics of all batch norms again, as means over batches.

    Args:
        model: A segmentor; it is left in evaluation.
        batches: Batches of a dataloader.
        noisy: Whether dispatchers add the noise of training to their logits.
    """
    model.eval()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            module.momentum = None  # the mean of all batches
            module.train()
        if isinstance(module, TokenDispatcher):
            module.train(noisy)
    for batch in batches:
        model(**model.data_preprocessor(batch), mode="tensor")
    model.eval()


def measure(run: SuiteRun, metric: str) -> dict[str, float]:
    """Test a finished run with its own statistics, and with those of either kind of mask.

    Returns:
        The metric, by kind of statistics.
    """
    cfg = run.config()
    with tempfile.TemporaryDirectory() as folder:
        runner = evaluation_runner(cfg, str(run.work_dir / "adapter.safetensors"), folder)
        found = {"as trained": float(runner.test_loop.run()[metric])}
        cfg.train_dataloader.sampler.type = "DefaultSampler"  # ends after every scene was there
        set_random_seed(run.seed)  # of flips
        batches = list(Runner.build_dataloader(cfg.train_dataloader, seed=run.seed))
        for name, noisy in (("noisy masks", True), ("hard masks", False)):
            set_random_seed(run.seed)
            gather_statistics(runner.model, batches, noisy)
            found[name] = float(runner.test_loop.run()[metric])
    return found


@tool
def main() -> None:
    """Measure every seed, and write what was found."""
    suite = Suite.fromfile(SUITES["scenes"])
    runs = suite.runs(methods=[METHOD])
    if not_done := [run.name for run in runs if run.status() != "done"]:
        raise ValueError(f"not trained: {', '.join(not_done)}; tools/sweep.py {SUITES['scenes']}")
    found = [
        dict(fingerprint=fingerprint(run.config()), **measure(run, suite.metric))
        for run in track(runs, "Gathering statistics")
    ]
    with atomic_path(FOUND) as path:
        path.write_text(json.dumps(dict(runs=found, host=host(), versions=versions()), indent=1))
    print(found)


if __name__ == "__main__":
    main()
