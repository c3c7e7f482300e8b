"""Read the parameters of a module that was exported to ONNX, under the module's names."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor

ANONYMOUS = "onnx::"


def read_onnx(path: str | Path) -> dict[str, Tensor]:
    """Read an ONNX file's initialisers.

    The exporter of torch keeps most parameters' names, but stores the weights of
    linear layers transposed and without a name, and so the position embedding,
    cut in two, of a ViT of ``transformers``. Those are named after the scope of
    the node that takes them.

    Args:
        path: An ``.onnx`` file.

    Returns:
        Tensors by name, as in the state dict of the exported module. Nameless
        ones of other kinds are left out, and so are those of a scope with more
        of them than a linear layer or a position embedding has.

    Raises:
        ModuleNotFoundError: If onnx is not installed.
        ValueError: If the file is damaged.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "reading .onnx needs onnx: pip install -r requirements/deploy.txt"
        ) from error
    try:
        graph = onnx.load(str(path)).graph
    except (DecodeError, OSError, ValueError) as error:
        raise ValueError(f"{path} is no complete ONNX file: {error}") from error
    values = {
        each.name: torch.from_numpy(onnx.numpy_helper.to_array(each).copy())
        for each in graph.initializer
    }
    named = {name: value for name, value in values.items() if not name.startswith(ANONYMOUS)}
    linear: dict[str, list[Tensor]] = defaultdict(list)
    positions: dict[str, list[Tensor]] = defaultdict(list)
    for node in graph.node:
        scope = ".".join(node.name.split("/")[1:-1])
        taken = [values[name] for name in node.input if name in values and name not in named]
        if node.op_type == "MatMul" and len(taken) == 1:
            linear[scope].append(taken[0].T)  # (in, out) -> (out, in)
        elif scope.endswith("embeddings"):
            positions[scope] += [value for value in taken if value.ndim == 3]
    for scope, weights in linear.items():
        if len(weights) == 1:
            named.setdefault(f"{scope}.weight", weights[0])
    for scope, parts in positions.items():
        if len(parts) == 2 and parts[0].shape[2] == parts[1].shape[2]:
            # (1, 1, C) of the class token and (1, N, C) of the patches -> (1, 1 + N, C)
            parts.sort(key=lambda part: part.shape[1])
            named.setdefault(f"{scope}.position_embeddings", torch.cat(parts, dim=1))
    return named
