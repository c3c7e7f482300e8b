"""Run exported models in all runtimes, and time them in turns on the same images."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from benchmark_inference import DENSE
from clock_limit import clock_limit
from deployment_models import CAPACITY, DYNAMIC, packed
from torch import Tensor, nn

from mmdyt.engine.deployment import Function, run_onnxruntime, run_openvino, trace, write_onnx
from mmdyt.evaluation.timing import Spread, held_memory, peak_memory, ratios, time_alternately

RUNTIMES = ("torch", "torch, packed", "onnxruntime", "OpenVINO")


@dataclass
class Form:
    """A model as one runtime has it.

    Args:
        call: From images to logits.
        held_mib: Memory that it holds after a batch of two, ``None`` if unknown.
    """

    call: Function
    held_mib: float | None


@dataclass
class Row:
    """One model in one runtime.

    Args:
        runtime: One of :data:`RUNTIMES`.
        model: The model.
        gflops: Of an image.
        seconds: Time of the batch.
        ideal: Gain over the dense model that the FLOPs allow.
        clock: Gain that the clock allows, ``None`` without dispatch.
        gain: Measured gain over the runtime's dense model, round by round.
        held_mib: As :class:`Form`.
        peak_mib: Memory at the peak of a call beyond what is there before it; runtimes
            that keep their working memory have none.
    """

    runtime: str
    model: str
    gflops: float
    seconds: Spread
    ideal: float
    clock: float | None
    gain: Spread
    held_mib: float | None
    peak_mib: float | None


def forms_of(
    model: nn.Module, example: Tensor, name: str, args: argparse.Namespace, folder: Path
) -> dict[str, Form]:
    """Prepare a model for every runtime.

    Args:
        model: From images to logits.
        example: Two or more images.
        name: Of a file that comes and goes.
        args: The command line.
        folder: For that file.

    Returns:
        By runtime.
    """
    file, threads = folder / f"{name}.onnx", torch.get_num_threads()
    makers: dict[str, Callable[[], Function]] = {
        "torch": lambda: model,
        "torch, packed": lambda: packed(model),
        "onnxruntime": lambda: run_onnxruntime(file, threads),
        "OpenVINO": lambda: run_openvino(file, threads),
    }
    forms = {}
    for runtime in [each for each in RUNTIMES if each in args.runtimes]:
        if "torch" not in runtime and not file.exists():
            write_onnx(trace(model, example), file)
        forms[runtime] = Form(*held_memory(partial(_used, makers[runtime], example)))
    if "torch" in forms:  # whose weights are there already
        held = sum(param.nbytes for param in model.parameters()) / 2**20
        forms["torch"].held_mib = held
    file.unlink(missing_ok=True)
    return forms


def _used(make: Callable[[], Function], example: Tensor) -> Function:
    """Make a function and call it once, as some runtimes take their memory only then."""
    function = make()
    function(example)
    return function


def time_batch(
    models: dict[str, dict[str, Form]],
    mlps: dict[str, Form],
    images: Tensor,
    tokens: tuple[Tensor, Tensor],
    flops: dict[str, float],
    args: argparse.Namespace,
) -> list[Row]:
    """Time all models in all runtimes on one batch.

    Args:
        models: By model and runtime.
        mlps: The MLPs by runtime.
        images: ``(B, 3, H, W)``.
        tokens: All tokens of the batch and those that a dispatcher leaves,
            ``(rows, C)``.
        flops: By model.
        args: The command line.
    """
    calls: dict[str, Callable[[], object]] = {}
    for model, forms in models.items():
        calls |= {f"{model}|{run}": partial(form.call, images) for run, form in forms.items()}
    for part, rows in zip(("all", "left"), tokens):
        calls |= {f"{part}|{run}": partial(form.call, rows) for run, form in mlps.items()}
    title = f"batch {len(images)}"
    seconds = time_alternately(calls, args.rounds, args.seconds, title=title)
    table = []
    for runtime in args.runtimes:
        dense, every, left = (f"{name}|{runtime}" for name in (DENSE, "all", "left"))
        clock = clock_limit(seconds, dense, every, left)
        for model, forms in models.items():
            own = f"{model}|{runtime}"
            table.append(
                Row(
                    runtime=runtime,
                    model=model,
                    gflops=flops[model] / 1e9,
                    seconds=Spread.of(seconds[own]),
                    ideal=flops[DENSE] / flops[model],
                    clock=clock if model in (DYNAMIC, CAPACITY) else None,
                    gain=ratios(seconds, dense, own),
                    held_mib=forms[runtime].held_mib,
                    peak_mib=peak_memory(calls[own]),
                )
            )
    return table
