"""Time several functions against each other, and measure their memory."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any, TypeVar

import torch
from rich.progress import track
from torch import Tensor, nn

T = TypeVar("T")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True)
class Spread:
    """A median with its quartiles.

    Args:
        low: First quartile.
        median: Median.
        high: Third quartile.
    """

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Of one or more values."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, _, high = quantiles(values, n=4, method="inclusive")
        return cls(low, median(values), high)

    def times(self, factor: float) -> Spread:
        """In another unit; ``factor`` is positive."""
        return Spread(factor * self.low, factor * self.median, factor * self.high)

    def __format__(self, spec: str) -> str:
        return f"{self.median:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __str__(self) -> str:
        return format(self, ".4g")


def training_step(
    model: Any, images: Tensor, samples: list, dtype: torch.dtype = torch.float32
) -> tuple[Callable[[], dict[str, Tensor]], Callable[[], None]]:
    """Make a model's training step, with AdamW.

    Args:
        model: A model with ``loss`` and ``parse_losses``; it is set to training.
        images: A batch, ``(B, 3, H, W)``, on the model's device.
        samples: Its labels.
        dtype: That of autocast. Defaults to ``torch.float32``: none.

    Returns:
        The losses of the batch, and the whole step, to be called.
    """
    model.train()
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-5)

    def forward() -> dict[str, Tensor]:
        with torch.autocast(images.device.type, dtype, dtype != torch.float32):
            return model.loss(images, samples)

    def step() -> None:
        optimizer.zero_grad()
        model.parse_losses(forward())[0].backward()
        optimizer.step()

    return forward, step


def time_alternately(
    functions: Mapping[str, Callable[[], object]],
    rounds: int = 20,
    budget: float = float("inf"),
    device: str = "cpu",
    title: str = "timing",
    clock: str = "wall",
) -> dict[str, list[float]]:
    """Time functions in turns, so that a busy machine slows all alike.

    Each runs once to warm up. The order is turned by one every round, so that
    none always follows the same other. A GPU is waited for around every call.

    Args:
        functions: What to time, by name.
        rounds: Timings of each. Defaults to 20.
        budget: Seconds after which no further round starts; three are run in
            any case. Defaults to no limit.
        device: Where the functions run. Defaults to ``'cpu'``.
        title: Shown with the progress.
        clock: A key of :data:`CLOCKS`. ``'cpu'`` is the time that the process
            was given, summed over its threads: on a machine that others use,
            with one thread, it is what the wall clock says on an idle one.
            Defaults to ``'wall'``.

    Returns:
        Seconds by name, one per round: entries of one index belong together.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    now = CLOCKS[clock]
    names, start = list(functions), time.perf_counter()
    for index in track(range(rounds), title, transient=True):
        if index >= 3 and time.perf_counter() - start > budget:
            break
        for name in names[index % len(names) :] + names[: index % len(names)]:
            _wait(device)
            begin = now()
            functions[name]()
            _wait(device)
            seconds[name].append(now() - begin)
    return seconds


def ratios(seconds: Mapping[str, list[float]], name: str, other: str) -> Spread:
    """How many times as long one function took as another, round by round.

    Args:
        seconds: As :func:`time_alternately` returns them.
        name: The one.
        other: The other.

    Returns:
        Median and quartiles of ``seconds[name][i] / seconds[other][i]``.
    """
    return Spread.of([a / b for a, b in zip(seconds[name], seconds[other])])


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(function: Callable[[], object], device: str = "cpu") -> float | None:
    """Memory that a call needs at its peak beyond what is there before it.

    On a CPU this is the resident set of the process, as Linux keeps it.

    Args:
        function: What to call, once.
        device: Where it runs. Defaults to ``'cpu'``.

    Returns:
        MiB, or ``None`` where it cannot be measured.
    """
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        function()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    try:
        ctypes.CDLL(None).malloc_trim(0)  # memory kept for reuse would hide what is used
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        before = _status("VmRSS")
        function()
        return (_status("VmHWM") - before) / 2**10
    except (OSError, AttributeError):
        return None


def held_memory(make: Callable[[], T]) -> tuple[T, float | None]:
    """Memory of this process that something takes and keeps.

    Args:
        make: Makes it, and uses it once if it takes memory only then.

    Returns:
        What was made, and MiB, ``None`` where it cannot be measured.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
        before = _status("VmRSS")
        made = make()
        ctypes.CDLL(None).malloc_trim(0)
        return made, (_status("VmRSS") - before) / 2**10
    except (OSError, AttributeError):
        return make(), None


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])  # KiB
    raise OSError(f"/proc/self/status has no {field}")


def saved_activations(model: nn.Module, function: Callable[[], T]) -> tuple[T, float]:
    """Run a forward pass and measure what autograd keeps for the backward pass.

    Args:
        model: Its parameters are not counted.
        function: A forward pass.

    Returns:
        What the function returns, and MiB, each storage counted once.
    """
    weights = {param.untyped_storage().data_ptr() for param in model.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = tensor  # holding it keeps its address from reuse
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = function()
    return result, sum(tensor.untyped_storage().nbytes() for tensor in kept.values()) / 2**20
