"""Measure the speed of the tuned models on test photographs: images a second, by method.

All models take turns on the same 32 photographs, merged for inference where that is possible
(LoRA, SSF). Run it on an idle machine; it writes ``results/speed.json``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

import mmdyt
from mmdyt.engine.cli import tool
from mmdyt.engine.comparison import throughput
from mmdyt.engine.provenance import host, versions
from mmdyt.engine.suite import Suite
from mmdyt.fileio import atomic_path
from mmdyt.models.utils import merged
from projects.photo_study.claims import MAIN
from projects.photo_study.collect import FOLDER, SUITES, normalised, read_photographs

TASK, BATCH = "clothing", 32


@tool
def main() -> None:
    """Measure the finished runs of one task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="the study's sweep; default: the suite's own")
    suite = Suite.fromfile(SUITES["study"], parser.parse_args().out)
    # The untrained backbone of the control is in no file; it is as fast as AdaptFormer's.
    methods = [name for name in MAIN if name != "random-weights"]
    runs = [run for run in suite.runs([TASK], methods, [0]) if run.status() == "done"]
    if not runs:
        raise ValueError(f"no run of {TASK} with seed 0 is done in {suite.out}")
    root = Path(runs[0].config().test_dataloader.dataset.data_root)
    photographs = normalised(read_photographs(root, BATCH))
    models = {
        run.method: merged(mmdyt.load_adapter(run.work_dir / "adapter.safetensors")) for run in runs
    }
    with torch.inference_mode():
        speed = throughput(models, photographs)
    found = dict(speed=speed, task=TASK, batch=BATCH, threads=torch.get_num_threads())
    with atomic_path(FOLDER / "speed.json") as path:
        path.write_text(json.dumps(found | dict(host=host(), versions=versions()), indent=2) + "\n")
    print({method: round(value, 1) for method, value in speed.items()}, "images/s")


if __name__ == "__main__":
    main()
