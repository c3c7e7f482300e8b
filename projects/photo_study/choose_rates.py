"""Choose every method's learning rate from the finished runs of ``photo_study_lr.py``.

The best mean over the tasks wins; of equals the larger. Writes
``configs/_base_/learning_rates.py``. A rate at the edge of the suite's grid is refused: the
best may lie outside.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmdyt.engine.cli import tool
from mmdyt.engine.suite import Suite
from mmdyt.fileio import atomic_path
from projects.photo_study.collect import RECORDS
from projects.study.records import gather, read_records
from projects.study.study import best_rate, mean_accuracies

HERE = Path("projects/photo_study")
SUITE = HERE / "configs/suites/photo_study_lr.py"
TARGET = HERE / "configs/_base_/learning_rates.py"


@tool
def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="the sweep's folder; default: the suite's own")
    suite = Suite.fromfile(SUITE, parser.parse_args().out)
    records = gather(suite, read_records(RECORDS)["lr"])
    if missing := len(suite.runs()) - len(records):
        raise ValueError(f"{missing} of {len(suite.runs())} runs are not done in {suite.out}")
    chosen, edges = {}, []
    for method, by_rate in mean_accuracies(records).items():
        try:
            chosen[method] = best_rate(by_rate)
        except ValueError as error:
            edges.append(f"{method}: {error}")
    if edges:
        raise ValueError(f"widen the grid of {SUITE}: {'; '.join(edges)}")
    lines = "".join(f'    "{method}": {rate:g},\n' for method, rate in chosen.items())
    doc = '"""What ``python -m projects.photo_study.choose_rates`` chose on validation images."""'
    with atomic_path(TARGET) as path:
        path.write_text(f"{doc}\n\nlearning_rates = {{\n{lines}}}\n")
    print(chosen)


if __name__ == "__main__":
    main()
