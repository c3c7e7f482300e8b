"""Convert a checkpoint of another code base, or refuse it before anything is written."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor

from mmdyt.converters.augreg import augreg_layout
from mmdyt.converters.hugging_face import hf_layout
from mmdyt.converters.layouts import Entry, Layout, timm_layout
from mmdyt.converters.official import official_layout
from mmdyt.converters.shapes import expected_shapes
from mmdyt.converters.sources import read_source
from mmdyt.engine.cli import require_writable
from mmdyt.fileio import atomic_path, save_safetensors

FORMATS: dict[str, Callable[[Collection[str]], Layout]] = {
    "timm": timm_layout,
    "augreg_npz": augreg_layout,
    "official": official_layout,
    "hf": hf_layout,
}
INTEGERS = (".num_batches_tracked", ".relative_position_index")


def convert(source: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Convert a state dict.

    Args:
        source: Tensors by name, as the other code base stores them.
        kind: A key of :data:`FORMATS`: ``'timm'``, ``'augreg_npz'``,
            ``'official'`` or ``'hf'``.

    Returns:
        For ``'official'`` the state dict of a whole ``mmdyt.DyTImageClassifier``
        with a ``LinearClsHead``, ``mmdyt.DyTRecognizer2D`` with an
        ``AttentivePoolHead``, or ``mmdyt.DyTEncoderDecoder`` with a
        ``Feature2Pyramid``; otherwise that of the backbone, prefix
        ``backbone.``, without the head of the pre-training.

    Raises:
        ValueError: If ``kind`` is unknown, or a key is unexpected, missing, of
            another shape or not finite; the first one is named.
    """
    if kind not in FORMATS:
        raise ValueError(f"format {kind!r} is unknown; choose one of {list(FORMATS)}")
    layout = FORMATS[kind](source.keys())
    entries = layout.entries
    known = {name for entry in entries for name in entry.sources}
    unexpected = [key for key in source if key not in known and not key.startswith(layout.ignored)]
    if unexpected:
        raise ValueError(
            f"{unexpected[0]!r} is not a key of a {kind} checkpoint ({len(unexpected)} such keys)"
        )
    missing = [name for entry in entries for name in entry.sources if name not in source]
    if missing:
        raise ValueError(
            f"{missing[0]!r} is missing: the {kind} checkpoint is incomplete "
            f"({len(missing)} keys are missing)"
        )
    for name in dict.fromkeys(name for entry in entries for name in entry.sources):
        _check_numbers(name, source[name])
    result, shapes = {}, expected_shapes(source, entries)
    for entry in entries:
        try:
            tensor = entry.make([source[name] for name in entry.sources]).contiguous()
        except (RuntimeError, IndexError) as error:
            raise ValueError(f"{_described(entry, source)} has the wrong shape: {error}") from error
        wanted = shapes[entry.target]
        if tensor.shape != wanted:
            raise ValueError(
                f"{_described(entry, source)} has the wrong shape: it becomes "
                f"{tuple(tensor.shape)}, {entry.target} is {tuple(wanted)}"
            )
        result[entry.target] = tensor
    return result


def _check_numbers(name: str, tensor: Tensor) -> None:
    """Refuse what no weight can be, by its name."""
    if name.endswith(INTEGERS):
        return
    if not tensor.is_floating_point():
        raise ValueError(f"{name!r} holds {tensor.dtype}, not floating-point numbers")
    if not tensor.isfinite().all():
        raise ValueError(f"{name!r} holds NaN or infinite values")


def _described(entry: Entry, source: Mapping[str, Tensor]) -> str:
    """Name an entry's source, or all of them with their shapes."""
    if len(entry.sources) == 1:
        return repr(entry.sources[0])
    shapes = (f"{name!r} {tuple(source[name].shape)}" for name in entry.sources)
    return f"one of {', '.join(shapes)}"


def convert_file(source: str | Path, target: str | Path, kind: str) -> dict[str, Tensor]:
    """Convert a checkpoint file; the target is written whole or not at all.

    Args:
        source: The file to read, see :func:`read_source`.
        target: The file to write, ``.pth`` or ``.safetensors``.
        kind: A key of :data:`FORMATS`.

    Returns:
        What was written.

    Raises:
        FileNotFoundError: If there is no ``source``.
        ValueError: If ``target`` has another suffix or ``source`` is refused,
            see :func:`convert`.
    """
    target = Path(target)
    if target.suffix not in (".pth", ".safetensors"):
        raise ValueError(f"DST must end in .pth or .safetensors, got {str(target)!r}")
    tensors = read_source(source, kind)
    try:
        state_dict = convert(tensors, kind)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    meta = dict(source=Path(source).name, format=kind)
    if target.suffix == ".safetensors":
        save_safetensors(target, state_dict, meta)
    else:
        with atomic_path(target) as path:
            torch.save(dict(state_dict=state_dict, meta=meta), path)
    return state_dict


def command_line(kind: str, description: str | None) -> None:
    """Run ``SRC DST`` from the command line.

    Args:
        kind: A key of :data:`FORMATS`.
        description: Help text of the tool.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("src", metavar="SRC", help="checkpoint to read")
    parser.add_argument("dst", metavar="DST", help="checkpoint to write, .pth or .safetensors")
    args = parser.parse_args()
    require_writable(args.dst, "DST", (".pth", ".safetensors"))
    state_dict = convert_file(args.src, args.dst, kind)
    layers = sum(name.endswith(".ln2.weight") for name in state_dict)
    width = state_dict["backbone.cls_token"].shape[-1]
    print(f"{args.dst}: {len(state_dict)} tensors, {layers} layers, {width} wide")
