"""Predict own images or videos, and draw which patches each layer computed.

Prints prediction, activation rate and GFLOPs of every input, and writes a
picture of each, the mask of a segmentation and ``results.json`` to the output
folder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import DictAction
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

import mmdyt
from mmdyt.engine.cli import tool
from mmdyt.engine.config_keys import load_config
from mmdyt.engine.inferencer import UnreadableInputError
from mmdyt.engine.run_checks import require_checkpoint
from mmdyt.fileio import atomic_path
from mmdyt.visualization import describe_prediction, draw_prediction
from mmdyt.visualization.prediction import default_palette
from mmdyt.visualization.seg_panel import colour_mask

IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm"}
VIDEOS = {".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v"}
RESULTS = "results.json"
MARK = "mmdyt tools/image_demo.py"  # in our pictures, by which a later call knows them


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input", type=Path, help="an image, a video, or a folder of them")
    parser.add_argument("model", type=Path, help="an adapter file, or the config of a run (.py)")
    parser.add_argument(
        "--checkpoint", type=Path, help="with a config: an epoch_*.pth or adapter.safetensors"
    )
    parser.add_argument("--base", type=Path, help="with an adapter file: its frozen backbone")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/image_demo"), metavar="DIR")
    parser.add_argument("--device", help="defaults to a GPU where there is one")
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, help="overrides of the config: key=value ..."
    )
    return parser.parse_args()


def find_inputs(path: Path, suffixes: set[str], out: Path) -> list[Path]:
    """List the files to predict.

    Args:
        path: A file, or a folder, which is searched with its subfolders.
        suffixes: Those of what the model takes.
        out: Folder of our pictures, of which none is an input.

    Returns:
        Paths, sorted.

    Raises:
        FileNotFoundError: If there is nothing at the path.
        ValueError: If the model takes no such file, the folder has none, or our
            pictures would go among them.
    """
    if not path.exists():
        raise FileNotFoundError(f"no image, video or folder at {path}")
    if path.is_dir() and path.resolve().is_relative_to(out.resolve()):
        raise ValueError(f"--out {out} holds the inputs of {path}: choose a folder of its own")
    if path.is_file():
        if path.suffix.lower() not in suffixes:
            raise ValueError(f"this model takes {sorted(suffixes)}, got {path}")
        return [path]
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in suffixes
        and file.is_file()
        and out.resolve() not in file.resolve().parents
    )
    if not found:
        raise ValueError(f"{path} has no file of {sorted(suffixes)}")
    return found


def picture_of(out: Path, name: str) -> Path:
    """Where the picture of an input goes; a mask has ``.mask.png`` instead of ``.png``."""
    return out / f"{name}.png"


def require_own(out: Path, names: Sequence[str]) -> None:
    """Refuse to overwrite files that this tool did not write.

    Args:
        out: Folder of our pictures.
        names: The inputs.

    Raises:
        ValueError: Naming the first such file.
    """
    pictures = [picture_of(out, name) for name in names]
    masks = [picture.with_suffix(".mask.png") for picture in pictures]
    for path in (out / RESULTS, *pictures, *masks):
        if path.exists() and not _is_own(path):
            raise ValueError(f"{path} is a file of yours: choose another --out")


def _is_own(path: Path) -> bool:
    try:
        if path.name == RESULTS:
            return {"results", "unreadable"} == json.loads(path.read_text()).keys()
        with Image.open(path) as picture:
            return picture.info.get("Software") == MARK
    except (OSError, ValueError, AttributeError):  # no picture, no JSON, no object
        return False


def predict(infer: Any, path: Path, picture: Path) -> dict[str, Any]:
    """Predict one input, draw it, and give a row of the table."""
    (result,) = infer(path, token_maps=True)
    meta = getattr(infer.model, "dataset_meta", None) or {}
    classes, palette = meta.get("classes"), meta.get("palette")
    with atomic_path(picture) as file:
        figure = draw_prediction(result, path.name, classes, palette)
        figure.savefig(file, dpi=120, metadata=dict(Software=MARK))
    if "pred_sem_seg" in result:
        mask = result["pred_sem_seg"]
        with atomic_path(picture.with_suffix(".mask.png")) as file:
            colours = palette or default_palette(max(len(classes or ()), int(mask.max()) + 1))
            info = PngInfo()
            info.add_text("Software", MARK)
            Image.fromarray(colour_mask(mask, colours)).save(file, pnginfo=info)
    return dict(
        prediction=describe_prediction(result, classes),
        activation_rate=result["activation_rate"],
        gflops=result["gflops"],
        rates={name: float(maps.mean()) for name, maps in result["token_maps"].items()},
        picture=str(picture),
    )


def print_rows(rows: dict[str, dict[str, Any]]) -> None:
    """Print one line an input."""
    table = Table()
    for column in ("input", "prediction", "activation rate", "GFLOPs"):
        table.add_column(column, justify="left" if column in ("input", "prediction") else "right")
    for name, row in rows.items():
        rate = row["activation_rate"]
        shown = "-" if rate is None else f"{rate:.3f}"
        table.add_row(escape(name), escape(row["prediction"]), shown, f"{row['gflops']:.4g}")
    Console().print(table)


def report_unreadable(unreadable: dict[str, str], total: int) -> None:
    """Say which inputs were left out, and stop where nothing was predicted."""
    if not unreadable:
        return
    lines: Sequence[str] = [f"  {name}: {reason}" for name, reason in unreadable.items()]
    more = [f"  ... and {len(lines) - 10} more"] if len(lines) > 10 else []
    text = "\n".join([f"{len(unreadable)} of {total} could not be read:", *lines[:10], *more])
    if len(unreadable) == total:
        raise ValueError(text)
    print(text)


@tool
def main() -> None:
    """Run the demo."""
    args = parse_args()
    if args.checkpoint:
        require_checkpoint(str(args.checkpoint), "--checkpoint")
    is_config = args.model.suffix == ".py"
    if args.cfg_options and not is_config:
        raise ValueError(f"--cfg-options needs a config, got {args.model}")
    source = load_config(str(args.model), args.cfg_options) if is_config else args.model
    infer = mmdyt.inferencer(source, args.checkpoint, base=args.base, device=args.device)
    if is_config and args.checkpoint is None:
        print("No --checkpoint: adapters, dispatchers and head are untrained.")
    inputs = find_inputs(args.input, VIDEOS if infer.scope == "mmaction" else IMAGES, args.out)
    folder = args.input if args.input.is_dir() else args.input.parent
    names = [str(path.relative_to(folder)) for path in inputs]
    require_own(args.out, names)
    rows: dict[str, dict[str, Any]] = {}
    unreadable: dict[str, str] = {}
    for path, name in track(list(zip(inputs, names)), "Predicting", transient=True):
        try:
            rows[name] = predict(infer, path, picture_of(args.out, name))
        except UnreadableInputError as error:
            unreadable[name] = str(error).splitlines()[0]
    report_unreadable(unreadable, len(inputs))
    print_rows(rows)
    with atomic_path(args.out / RESULTS) as file:
        file.write_text(json.dumps(dict(results=rows, unreadable=unreadable), indent=2))
    print(f"{len(rows)} predicted, {len(unreadable)} unreadable; pictures: {args.out}")


if __name__ == "__main__":
    main()
