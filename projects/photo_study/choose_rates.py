"""Choose every method's learning rate from the finished runs of ``photo_study_lr.py``.

The best mean over the tasks wins; of equals the larger. Writes
``configs/_base_/learning_rates.py``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmdyt.engine.cli import tool
from mmdyt.engine.suite import Suite
from mmdyt.fileio import atomic_path
from projects.study.study import mean_accuracies

HERE = Path("projects/photo_study")
SUITE = HERE / "configs/suites/photo_study_lr.py"
TARGET = HERE / "configs/_base_/learning_rates.py"


def best_rate(by_rate: dict[float, float]) -> float:
    """Choose the rate of the highest accuracy; of equals the larger."""
    return max(by_rate, key=lambda rate: (by_rate[rate], rate))


@tool
def main() -> None:
    """Write the file, and name the methods whose best rate lies at the grid's edge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="the sweep's folder; default: the suite's own")
    suite = Suite.fromfile(SUITE, parser.parse_args().out)
    records = [run.record() for run in suite.runs() if run.status() == "done"]
    means = mean_accuracies([record for record in records if record])
    missing = {name.rpartition("-lr")[0] for name in suite.methods} - means.keys()
    if missing:
        raise ValueError(f"no run of {sorted(missing)} is done in {suite.out}")
    chosen = {method: best_rate(by_rate) for method, by_rate in means.items()}
    lines = "".join(f'    "{method}": {rate:g},\n' for method, rate in chosen.items())
    doc = '"""What ``python -m projects.photo_study.choose_rates`` chose on validation images."""'
    with atomic_path(TARGET) as path:
        path.write_text(f"{doc}\n\nlearning_rates = {{\n{lines}}}\n")
    for method, rate in chosen.items():
        edge = rate in (min(means[method]), max(means[method]))
        print(f"{method}: {rate:g}{', at the edge of its grid' if edge else ''}")


if __name__ == "__main__":
    main()
