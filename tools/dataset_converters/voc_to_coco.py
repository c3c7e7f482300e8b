"""Write COCO annotation files for a data set in Pascal VOC's layout.

ROOT holds Annotations/*.xml, JPEGImages/ and ImageSets/Main/*.txt. Every file is
read; a missing, unreadable or contradictory one, or a class that is not named,
stops the conversion with all such names. For the blood cells of BCCD_Dataset:

    voc_to_coco.py BCCD_Dataset/BCCD data/bccd --classes RBC WBC Platelets
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mmdyt.datasets.preflight import report
from mmdyt.datasets.voc import voc_to_coco
from mmdyt.fileio import atomic_path


def convert(root: Path, out: Path, classes: list[str], splits: list[str], suffix: str) -> None:
    """Convert all splits, or none of them.

    Raises:
        SystemExit: With everything that is wrong.
    """
    lists = root / "ImageSets/Main"
    missing = [split for split in splits if not (lists / f"{split}.txt").is_file()]
    if missing:
        there = sorted(path.stem for path in lists.glob("*.txt"))
        raise SystemExit(f"--splits {missing} are not in {lists}, which has {there}")
    converted = {split: voc_to_coco(root, split, classes, suffix) for split in splits}
    wrong = {split: found for split, (_, found, _) in converted.items() if found}
    if wrong:
        raise SystemExit("\n".join(report(found, split) for split, found in wrong.items()))
    out.mkdir(parents=True, exist_ok=True)
    for split, (content, _, odd) in converted.items():
        with atomic_path(out / f"{split}.json") as path:
            path.write_text(json.dumps(content))
        if odd:
            print(report(odd, split))
        boxes, images = len(content["annotations"]), len(content["images"])
        print(f"{out / split}.json: {boxes} boxes in {images} images")


def main() -> None:
    """Convert what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="folder in Pascal VOC's layout")
    parser.add_argument("out", type=Path, help="folder for SPLIT.json")
    parser.add_argument("--classes", nargs="+", required=True, help="in the order of their ids")
    parser.add_argument("--splits", nargs="+", default=["train", "val", "test"])
    parser.add_argument("--suffix", default=".jpg", help="ending of the images")
    args = parser.parse_args()
    convert(args.root, args.out, args.classes, args.splits, args.suffix)


if __name__ == "__main__":
    main()
