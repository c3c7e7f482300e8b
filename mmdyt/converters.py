"""Turn checkpoints of other code bases into classifier checkpoints of mmdyt.

Each source format is a table of :class:`Entry`, one for every tensor of the
result. What a file must hold follows from the table, and the shapes are those
of a model built without memory, so that a wrong or truncated file is refused
before anything is written.
"""

from __future__ import annotations

import argparse
import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from mmdyt.engine.cli import require_writable
from mmdyt.engine.run_checks import require_checkpoint
from mmdyt.fileio import atomic_path, load_from_safetensors, save_safetensors

Sources = Sequence[Tensor]


@dataclass(frozen=True)
class Entry:
    """Where one tensor of the result comes from.

    Args:
        target: Its name in ``mmdyt.DyTImageClassifier``.
        sources: The names of what it is made of in the other code base.
        make: How; by default the only source as it is.
    """

    target: str
    sources: tuple[str, ...]
    make: Callable[[Sources], Tensor] = lambda tensors: tensors[0]


# Modules with a weight and a bias, by their names in timm; {} is the block.
TIMM_MODULES = {
    "patch_embed.proj": "backbone.patch_embed.projection",
    "norm": "backbone.ln1",
}
TIMM_BLOCK = {
    "blocks.{}.norm1": "backbone.layers.{}.ln1",
    "blocks.{}.attn.qkv": "backbone.layers.{}.attn.qkv",
    "blocks.{}.attn.proj": "backbone.layers.{}.attn.proj",
    "blocks.{}.norm2": "backbone.layers.{}.ln2",
    "blocks.{}.mlp.fc1": "backbone.layers.{}.ffn.layers.0.0",
    "blocks.{}.mlp.fc2": "backbone.layers.{}.ffn.layers.1",
}
# What the method's released code adds to timm's names.
OFFICIAL_MODULES = {**TIMM_MODULES, "head": "head.fc"}
OFFICIAL_BLOCK = {
    **TIMM_BLOCK,
    "blocks.{}.adaptmlp.down_proj": "backbone.layers.{}.adapter.mlp.down",
    "blocks.{}.adaptmlp.up_proj": "backbone.layers.{}.adapter.mlp.up",
    "blocks.{}.mlp_token_select.mlp_head": "backbone.layers.{}.dispatcher.mlp.proj",
}


def timm_entries(num_layers: int) -> list[Entry]:
    """Table of a timm ViT: names change, tensors stay."""
    return _torch_entries(TIMM_MODULES, TIMM_BLOCK, num_layers)


def official_entries(num_layers: int) -> list[Entry]:
    """Table of the released code: timm's names, adapters, dispatchers, head."""
    return _torch_entries(OFFICIAL_MODULES, OFFICIAL_BLOCK, num_layers)


def _torch_entries(modules: dict, block: dict, num_layers: int) -> list[Entry]:
    pairs = dict(modules)
    for index in range(num_layers):
        pairs |= {old.format(index): new.format(index) for old, new in block.items()}
    entries = [Entry(f"backbone.{name}", (name,)) for name in ("cls_token", "pos_embed")]
    for old, new in pairs.items():
        entries += [Entry(f"{new}.{kind}", (f"{old}.{kind}",)) for kind in ("weight", "bias")]
    return entries


def augreg_entries(num_layers: int) -> list[Entry]:
    """Table of Google's AugReg ``.npz``: kernels are stored input first."""
    entries = [
        Entry("backbone.cls_token", ("cls",)),
        Entry("backbone.pos_embed", ("Transformer/posembed_input/pos_embedding",)),
        # (H, W, in, out) -> (out, in, H, W)
        Entry(
            "backbone.patch_embed.projection.weight",
            ("embedding/kernel",),
            lambda t: t[0].permute(3, 2, 0, 1),
        ),
        Entry("backbone.patch_embed.projection.bias", ("embedding/bias",)),
        *_augreg_norm("backbone.ln1", "Transformer/encoder_norm"),
    ]
    for index in range(num_layers):
        new, old = f"backbone.layers.{index}", f"Transformer/encoderblock_{index}"
        attn = f"{old}/MultiHeadDotProductAttention_1"
        qkv = ("query", "key", "value")
        entries += [
            *_augreg_norm(f"{new}.ln1", f"{old}/LayerNorm_0"),
            # three of (C, H, D) -> (3 * H * D, C)
            Entry(
                f"{new}.attn.qkv.weight",
                tuple(f"{attn}/{name}/kernel" for name in qkv),
                lambda tensors: torch.cat([t.flatten(1).T for t in tensors]),
            ),
            # three of (H, D) -> (3 * H * D)
            Entry(
                f"{new}.attn.qkv.bias",
                tuple(f"{attn}/{name}/bias" for name in qkv),
                lambda tensors: torch.cat([t.flatten() for t in tensors]),
            ),
            # (H, D, C) -> (C, H * D)
            Entry(
                f"{new}.attn.proj.weight", (f"{attn}/out/kernel",), lambda t: t[0].flatten(0, 1).T
            ),
            Entry(f"{new}.attn.proj.bias", (f"{attn}/out/bias",)),
            *_augreg_norm(f"{new}.ln2", f"{old}/LayerNorm_2"),
            *_augreg_dense(f"{new}.ffn.layers.0.0", f"{old}/MlpBlock_3/Dense_0"),
            *_augreg_dense(f"{new}.ffn.layers.1", f"{old}/MlpBlock_3/Dense_1"),
        ]
    return entries


def _augreg_norm(new: str, old: str) -> list[Entry]:
    return [Entry(f"{new}.weight", (f"{old}/scale",)), Entry(f"{new}.bias", (f"{old}/bias",))]


def _augreg_dense(new: str, old: str) -> list[Entry]:
    kernel = Entry(f"{new}.weight", (f"{old}/kernel",), lambda t: t[0].T)
    return [kernel, Entry(f"{new}.bias", (f"{old}/bias",))]


@dataclass(frozen=True)
class Format:
    """A source format.

    Args:
        entries: Table for a number of layers.
        block: What stands before the index of a block in a key.
        ignored: Keys that start so are left out: heads of the pre-training.
    """

    entries: Callable[[int], list[Entry]]
    block: str
    ignored: tuple[str, ...] = ()


FORMATS = {
    "timm": Format(timm_entries, "blocks.", ("head.", "pre_logits.")),
    "augreg_npz": Format(augreg_entries, "Transformer/encoderblock_", ("head/", "pre_logits/")),
    "official": Format(official_entries, "blocks.", ("pre_logits.",)),
}


def convert(source: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Convert a state dict.

    Args:
        source: Tensors by name, as the other code base stores them.
        kind: A key of :data:`FORMATS`: ``'timm'``, ``'augreg_npz'`` or
            ``'official'``.

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
    spec = FORMATS[kind]
    entries = spec.entries(_count_blocks(source, spec.block))
    known = {name for entry in entries for name in entry.sources}
    unexpected = [key for key in source if key not in known and not key.startswith(spec.ignored)]
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


def _count_blocks(source: Mapping[str, Tensor], before: str) -> int:
    """Number of blocks, from the highest index among the keys."""
    heads = [key[len(before) :] for key in source if key.startswith(before)]
    indices = [head.replace("/", ".").split(".")[0] for head in heads]
    return max([int(index) + 1 for index in indices if index.isdigit()], default=1)


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


def _released_arguments() -> AbstractContextManager:
    """Let ``weights_only`` read the arguments in the released code's checkpoints.

    They are an ``argparse.Namespace`` with an ``EasyDict`` inside, for which a
    dict stands in. torch before 2.5 has no such list and refuses the file.
    """
    if not hasattr(torch.serialization, "safe_globals"):
        return nullcontext()
    stand_in = (OrderedDict, "easydict.EasyDict")
    return torch.serialization.safe_globals([argparse.Namespace, stand_in])


def read_source(path: str | Path, kind: str) -> dict[str, Tensor]:
    """Read a checkpoint without running code from it.

    Args:
        path: A ``.npz`` for ``'augreg_npz'``, otherwise a ``.safetensors`` file
            or one of ``torch.save``: a state dict, bare or under ``'model'`` or
            ``'state_dict'``.
        kind: A key of :data:`FORMATS`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or holds more than tensors.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    if kind == "augreg_npz":
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return {name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays.files}
        except (OSError, ValueError, TypeError, AttributeError, EOFError, BadZipFile) as error:
            raise ValueError(f"{path} is no complete .npz file") from error
    require_checkpoint(str(path), "SRC")
    if Path(path).suffix == ".safetensors":
        return load_from_safetensors(str(path))["state_dict"]
    try:
        with _released_arguments():
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise ValueError(
            f"{path} is damaged or holds more than tensors{f' ({found[1]})' if found else ''}; of "
            f"a training checkpoint re-save the entry 'model' alone"
        ) from error
    for nest in ("model", "state_dict"):
        if isinstance(loaded, dict) and isinstance(loaded.get(nest), dict):
            loaded = loaded[nest]
    if not isinstance(loaded, dict):
        raise ValueError(f"{path} holds a {type(loaded).__name__}, not a state dict")
    for key, value in loaded.items():
        if not isinstance(value, Tensor):
            raise ValueError(f"{path}: {key!r} is a {type(value).__name__}, not a tensor")
    return loaded


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
