"""Make a trained model small and portable: ``torch.export`` and ONNX files.

Classifiers, segmentors and recognizers are served. --budget sets another rate than
the trained one, and --capacity gives every image the same number of tokens, with static
shapes; both need the table of tools/analysis_tools/budget_curve.py. The metadata of both
files say how an image becomes their input (docs/budgets.md has a script that reads them).

The adapters' scale is folded into their weights. With ``--idle-batches`` the
validation images tell which branches no token ever needs: their dispatchers go,
and the branch too where there is no class token, which is always active. Both
files take preprocessed images, ``(B, 3, H, W)``, or clips of frames,
``(B, T, 3, H, W)``, for any ``B``, give logits, and skip inactive tokens as the
model does. Needs ``requirements/deploy.txt``.

    python tools/deployment/export.py CONFIG CHECKPOINT OUT --idle-batches 20
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner, load_checkpoint
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torchvision.transforms.functional import center_crop

from mmdyt.engine.budget_files import use_budget
from mmdyt.engine.cli import require_writable, tool
from mmdyt.engine.deployment import (
    META,
    Logits,
    clear_decisions,
    describe_input,
    run_onnxruntime,
    trace,
    verify,
    write_onnx,
)
from mmdyt.engine.slimming import idle_branches, slim
from mmdyt.evaluation import build_uninitialised, sample_shape
from mmdyt.evaluation.timing import Spread, time_alternately
from mmdyt.fileio import atomic_path

BATCHES = (1, 8)


def load_model(cfg: Config, checkpoint: str) -> nn.Module:
    """Build a config's model and load a complete or adapter-only checkpoint.

    Args:
        cfg: A config of a classifier, segmentor or recognizer.
        checkpoint: A file that belongs to it.

    Returns:
        The model in evaluation mode.

    Raises:
        ValueError: If the two do not belong together.
    """
    model = build_uninitialised(cfg)
    Logits(model)  # refuses models of other tasks
    try:
        loaded = load_checkpoint(model, checkpoint, map_location="cpu", strict=True)
    except (RuntimeError, ValueError) as error:
        first_lines = "\n".join(str(error).splitlines()[:6])[:600]
        raise ValueError(f"{checkpoint} does not belong to {cfg.filename}: {first_lines}") from None
    model.dataset_meta = loaded.get("meta", {}).get("dataset_meta")
    return model.eval()


def export(model: nn.Module, images: Tensor, meta: dict[str, Any], out: Path) -> None:
    """Write ``model.pt2`` and ``model.onnx``.

    Args:
        model: From images to logits.
        images: A batch of two or more, for the shapes.
        meta: What both files say of their input.
        out: A folder.
    """
    program = trace(model, images)
    with atomic_path(out / "model.pt2") as path:
        torch.export.save(program, path, extra_files={META: json.dumps(meta)})
    write_onnx(program, out / "model.onnx", meta)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="path of a config file")
    parser.add_argument("checkpoint", help="an epoch_*.pth, best_*.pth or adapter.safetensors")
    parser.add_argument("out", type=Path, help="folder of model.pt2 and model.onnx")
    parser.add_argument(
        "--idle-batches",
        type=int,
        default=0,
        help="batches of val_dataloader that tell which branches are idle; 0: keep all",
    )
    parser.add_argument("--budget", type=float, help="share of active tokens, instead of trained")
    parser.add_argument(
        "--capacity",
        action="store_true",
        help="equal numbers of tokens in all images, from the rates by layer of --budget",
    )
    args = parser.parse_args()
    if args.capacity and args.budget is None:
        parser.error("--capacity needs --budget RATE")
    return args


@tool
@torch.no_grad()
def main() -> None:
    """Slim, export, verify, compare."""
    args = parse_args()
    if not hasattr(torch.compiler, "is_exporting"):
        raise SystemExit(
            f"torch {torch.__version__} has no torch.compiler.is_exporting, which the export "
            "needs; take the stack of requirements/mminstall.txt"
        )
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise SystemExit(f"{error}: pip install -r requirements/deploy.txt") from None
    cfg = Config.fromfile(args.config)
    logging.disable(logging.INFO)
    model: Any = load_model(cfg, args.checkpoint)
    if args.budget is not None:
        use_budget(model, args.checkpoint, args.budget, args.capacity)
    require_writable(args.out / "model.onnx", "OUT")
    shape = sample_shape(cfg)
    idle: set[tuple[int, str]] = set()
    if args.idle_batches:
        loader = islice(Runner.build_dataloader(cfg.val_dataloader), args.idle_batches)
        batches = [model.data_preprocessor(batch)["inputs"] for batch in loader]
        if hasattr(model, "decode_head"):  # sees a window of an image, of any size, at a time
            batches = [center_crop(batch, list(shape[-2:])) for batch in batches]
        idle = idle_branches(model, batches)
    else:
        contrast = torch.linspace(0.1, 3, max(BATCHES)).view(-1, *[1] * len(shape))
        batches = [torch.randn(max(BATCHES), *shape) * contrast]
    slimmed = slim(model, idle)
    images = torch.cat(batches)
    meta = describe_input(cfg, model, tuple(images.shape[1:]))
    example = images[:2] if len(images) > 1 else images.repeat(2, *[1] * len(shape))
    with tempfile.TemporaryDirectory(dir=args.out) as folder:
        files = {name: Path(folder, name) for name in ("model.pt2", "model.onnx")}
        export(Logits(slimmed), example, meta, Path(folder))
        program: Any = torch.export.load(files["model.pt2"]).module()
        forms = {
            "before": Logits(model),
            "slim": Logits(slimmed),
            "model.pt2": program,
            "model.onnx": run_onnxruntime(files["model.onnx"]),
        }
        compared = 0
        for part in images.split(max(BATCHES)):
            clear = clear_decisions(model, part)
            compared += int(clear.sum())
            verify(forms, part, clear)
        verify(forms, images[:1], clear_decisions(model, images[:1]))
        megabytes = {
            "before": sum(param.nbytes for param in model.parameters()) / 1e6,
            "slim": sum(param.nbytes for param in slimmed.parameters()) / 1e6,
            **{name: file.stat().st_size / 1e6 for name, file in files.items()},
        }
        for name, file in files.items():  # of files that are not equal nothing stays
            os.replace(file, args.out / name)
    table = Table(
        title=f"{args.out}: equal logits on {compared} of {len(images)} images (no tie with what "
        f"decides); idle branches: {sorted(idle) or 'none'}"
    )
    for heading in ("form", "MB", *(f"ms, batch {batch}" for batch in BATCHES)):
        table.add_column(heading, justify="left" if heading == "form" else "right")
    columns = []
    for batch in BATCHES:
        calls = {name: partial(form, images[:batch]) for name, form in forms.items()}
        columns.append(time_alternately(calls, rounds=7, budget=60, title=f"batch {batch}"))
    for name in forms:
        times = [Spread.of([1e3 * second for second in column[name]]) for column in columns]
        table.add_row(name, f"{megabytes[name]:.1f}", *map(str, times))
    Console().print(table)


if __name__ == "__main__":
    main()
