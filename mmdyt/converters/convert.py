"""Convert a checkpoint of another code base, or refuse it before anything is written."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from mmdyt.converters.augreg import augreg_layout
from mmdyt.converters.hugging_face import hf_layout
from mmdyt.converters.layouts import Entry, Layout, official_layout, timm_layout
from mmdyt.converters.sources import read_source
from mmdyt.engine.cli import require_writable
from mmdyt.fileio import atomic_path, save_safetensors

FORMATS: dict[str, Callable[[Collection[str]], Layout]] = {
    "timm": timm_layout,
    "augreg_npz": augreg_layout,
    "official": official_layout,
    "hf": hf_layout,
}


def convert(source: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Convert a state dict.

    Args:
        source: Tensors by name, as the other code base stores them.
        kind: A key of :data:`FORMATS`: ``'timm'``, ``'augreg_npz'``,
            ``'official'`` or ``'hf'``.

    Returns:
        A state dict of ``mmdyt.DyTImageClassifier``: for ``'official'`` the
        whole model with a ``LinearClsHead``; otherwise the backbone, prefix
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
    result, shapes = {}, _expected_shapes(source, entries)
    for entry in entries:
        try:
            tensor = entry.make([source[name] for name in entry.sources]).contiguous()
        except (RuntimeError, IndexError) as error:
            raise ValueError(f"{entry.sources[0]!r} has the wrong shape: {error}") from error
        if tensor.shape != shapes[entry.target]:
            raise ValueError(
                f"{entry.sources[0]!r} has the wrong shape: it becomes {tuple(tensor.shape)}, "
                f"{entry.target} is {tuple(shapes[entry.target])}"
            )
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"{entry.sources[0]!r} holds NaN or infinite values")
        result[entry.target] = tensor
    return result


def _expected_shapes(
    source: Mapping[str, Tensor], entries: Sequence[Entry]
) -> dict[str, torch.Size]:
    """Shapes of the model, whose sizes follow from a few of the source's tensors."""
    from mmdyt.integrations.mmpretrain import DyTImageClassifier

    by_target = {entry.target: entry for entry in entries}

    def checked(target: str, ndim: int) -> Tensor:
        entry = by_target[target]
        first = source[entry.sources[0]]
        if first.ndim != ndim:
            raise ValueError(
                f"{entry.sources[0]!r} has the wrong shape: {tuple(first.shape)}, "
                f"it should have {ndim} dimensions"
            )
        return entry.make([source[name] for name in entry.sources])

    patch = checked("backbone.patch_embed.projection.weight", 4)
    num_patches = checked("backbone.pos_embed", 3).shape[1] - 1
    grid = math.isqrt(max(num_patches, 0))
    if grid * grid != num_patches or grid == 0:
        name = by_target["backbone.pos_embed"].sources[0]
        raise ValueError(f"{name!r} has the wrong shape: {num_patches} patches are no square")
    num_layers = sum(target.endswith(".ln2.weight") for target in by_target)
    hidden = checked("backbone.layers.0.ffn.layers.0.0.weight", 2).shape[0]
    backbone = dict(
        type="mmdyt.DyTViT",
        arch=dict(
            embed_dims=patch.shape[0],
            num_layers=num_layers,
            num_heads=1,
            feedforward_channels=hidden,
        ),
        img_size=grid * patch.shape[-1],
        patch_size=patch.shape[-1],
        in_channels=patch.shape[1],
        dispatch=None,
        adapter=None,
        layer_scale_init_value=float("backbone.layers.0.attn.gamma1.weight" in by_target),
    )
    head = None
    if "head.fc.weight" in by_target:
        bottleneck = checked("backbone.layers.0.adapter.mlp.down.weight", 2).shape[0]
        adapter = dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=bottleneck)
        backbone.update(dispatch="mlp", adapter=adapter)
        num_classes = checked("head.fc.weight", 2).shape[0]
        head = dict(
            type="mmpretrain.LinearClsHead", num_classes=num_classes, in_channels=patch.shape[0]
        )
    with torch.device("meta"):
        model = DyTImageClassifier(backbone=backbone, head=head, tuning="full")
    return {name: tensor.shape for name, tensor in model.state_dict().items()}


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
