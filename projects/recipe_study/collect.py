"""Gather the finished runs of the suites into ``results/records.json.gz``.

It keeps the committed records that still fit the suites;
``python -m projects.recipe_study.report`` renders the page.
"""

from __future__ import annotations

from pathlib import Path

from mmdyt.engine.cli import tool
from mmdyt.engine.suite import Suite
from projects.study.records import write_records

FOLDER = Path("projects/recipe_study/results")
RECORDS = FOLDER / "records.json.gz"
SUITES = {
    "digits": Path("configs/suites/digits_lr.py"),
    "scenes": Path("configs/suites/segmentation_demo_recipe.py"),
    "motions": Path("configs/suites/video_demo_lr.py"),
}


@tool
def main() -> None:
    """Write the records."""
    suites = {name: Suite.fromfile(path) for name, path in SUITES.items()}
    print(write_records(suites, RECORDS), "records in", RECORDS)


if __name__ == "__main__":
    main()
