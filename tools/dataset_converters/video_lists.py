"""Make mmaction2's annotation lists (``path label``) and check every video.

Every file is opened and its first and last frame decoded. What cannot be read is left
out of the list, and all of it is reported at once; the exit status is then 1.

Layouts::

    # class folders (Kinetics-400, HMDB-51): ROOT/CLASS/*.mp4
    video_lists.py folders data/kinetics400/videos_train LIST.txt
    # HMDB-51's official splits: SPLITS/CLASS_test_split1.txt
    video_lists.py hmdb data/hmdb51/videos LIST.txt --splits SPLITS --split 1 --part train
    # Something-Something V2: labels.json and one of its train/validation.json
    video_lists.py sthv2 data/sthv2/videos LIST.txt --labels labels.json --json train.json
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import decord
from rich.progress import track

from mmdyt.datasets.preflight import video_problem
from mmdyt.engine.cli import tool
from mmdyt.fileio import atomic_path

SUFFIXES = {".mp4", ".avi", ".webm", ".mkv", ".mov"}
HMDB_PARTS = {"train": "1", "test": "2"}
Entry = tuple[str, int]  # path relative to the root, label


def class_folders(root: Path) -> list[Entry]:
    """List ``root/class/video``; labels count the sorted class folders."""
    classes = sorted(path for path in root.iterdir() if path.is_dir())
    return [
        (str(path.relative_to(root)), label)
        for label, folder in enumerate(classes)
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in SUFFIXES
    ]


def hmdb_split(root: Path, splits: Path, split: int, part: str) -> list[Entry]:
    """List the videos that HMDB-51's split files give to a part."""
    files = sorted(splits.glob(f"*_test_split{split}.txt"))
    if not files:
        raise SystemExit(f"--splits {splits} has no *_test_split{split}.txt")
    entries = []
    for label, file in enumerate(files):
        name = file.name.removesuffix(f"_test_split{split}.txt")
        rows = [line.split() for line in file.read_text().splitlines() if line.strip()]
        entries += [(f"{name}/{video}", label) for video, p in rows if p == HMDB_PARTS[part]]
    return entries


def sthv2_json(labels: Path, videos: Path) -> list[Entry]:
    """List the videos of one of Something-Something V2's JSON files."""
    label_of = {name: int(label) for name, label in json.loads(labels.read_text()).items()}
    entries = []
    for video in json.loads(videos.read_text()):
        template = video["template"].replace("[", "").replace("]", "")
        if template not in label_of:
            raise SystemExit(f"{videos}: template {template!r} of {video['id']} is not in {labels}")
        entries.append((f"{video['id']}.webm", label_of[template]))
    return entries


def problem_of(path: Path) -> str | None:
    """Say what is wrong with a video, if anything."""
    if not path.is_file():
        return "does not exist"
    problem = video_problem(str(path))
    return problem and problem.detail


def check(root: Path, entries: Sequence[Entry], workers: int) -> list[str | None]:
    """Check all videos on several processes, in order, with progress."""
    paths = [root / name for name, _ in entries]
    with ProcessPoolExecutor(workers, initializer=partial(decord.logging.set_level, 24)) as pool:
        problems = pool.map(problem_of, paths, chunksize=8)
        return list(track(problems, "Checking videos", total=len(paths)))


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    layouts = parser.add_subparsers(dest="layout", required=True)
    for name in ("folders", "hmdb", "sthv2"):
        layout = layouts.add_parser(name)
        layout.add_argument("root", type=Path, help="folder that the list's paths start from")
        layout.add_argument("out", type=Path, help="list to write")
        layout.add_argument("--workers", type=int, default=os.cpu_count() or 1)
        layout.add_argument(
            "--delimiter",
            default=" ",
            help="between path and label; where paths have spaces, such as ';' here and as "
            "delimiter of the dataset in the config",
        )
        if name == "hmdb":
            layout.add_argument("--splits", type=Path, required=True)
            layout.add_argument("--split", type=int, choices=[1, 2, 3], default=1)
            layout.add_argument("--part", choices=list(HMDB_PARTS), required=True)
        if name == "sthv2":
            layout.add_argument("--labels", type=Path, required=True)
            layout.add_argument("--json", type=Path, required=True)
    args = parser.parse_args()
    if not args.root.is_dir():
        parser.error(f"{args.root} is not a folder")
    return args


@tool
def main() -> None:
    """Make a list and check it."""
    args = parse_args()
    if args.layout == "folders":
        entries = class_folders(args.root)
    elif args.layout == "hmdb":
        entries = hmdb_split(args.root, args.splits, args.split, args.part)
    else:
        entries = sthv2_json(args.labels, args.json)
    if not entries:
        raise SystemExit(f"no videos ({', '.join(sorted(SUFFIXES))}) for {args.out}")
    split = [name for name, _ in entries if args.delimiter in name]
    if split:
        raise SystemExit(
            f"{len(split)} paths contain --delimiter {args.delimiter!r}, such as {split[0]!r}; "
            f"choose another, and set it as dataset.delimiter in the config"
        )
    problems = check(args.root, entries, args.workers)
    good = [entry for entry, problem in zip(entries, problems) if problem is None]
    with atomic_path(args.out) as path:
        path.write_text("".join(f"{name}{args.delimiter}{label}\n" for name, label in good))
    print(f"{args.out}: {len(good)} of {len(entries)} videos")
    bad = [f"  {name} {problem}" for (name, _), problem in zip(entries, problems) if problem]
    if bad:
        raise SystemExit("\n".join([f"{len(bad)} unreadable videos are left out:", *bad]))


if __name__ == "__main__":
    main()
