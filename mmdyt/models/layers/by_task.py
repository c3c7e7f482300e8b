"""Modules of several tasks in the place of one: each image goes through its own task's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class TaskGroups:
    """Which images of a batch belong to which task.

    One object is shared by all :class:`ByTask` of a model, and set before a pass.

    Attributes:
        indices (dict[int, Tensor]): Positions of a task's images in the batch,
            by the task's number.
    """

    def __init__(self) -> None:
        self.indices: dict[int, Tensor] = {}

    def assign(self, tasks: Sequence[int], device: torch.device | str = "cpu") -> None:
        """Set the tasks of the next batch.

        Args:
            tasks: Number of each image's task, ``B`` of them.
            device: Where the batch is. Defaults to ``'cpu'``.
        """
        self.indices = {
            task: torch.tensor([i for i, own in enumerate(tasks) if own == task], device=device)
            for task in sorted(set(tasks))
        }
        self._back = torch.cat(list(self.indices.values())).argsort()

    def run(self, functions: Sequence[Callable[[Tensor], Any]], x: Tensor) -> Any:
        """Apply each task's function to its images.

        Args:
            functions: By the task's number. They return a tensor, or a tuple
                of tensors and ``None``, each with one row an image.
            x: A batch, ``(B, ...)``.

        Returns:
            What one function returns for the whole batch, in its order. A part
            that is ``None`` for one task is so for all.
        """
        if len(self.indices) == 1:
            (task,) = self.indices
            return functions[task](x)
        results = [functions[task](x[index]) for task, index in self.indices.items()]
        if isinstance(results[0], tuple):
            return tuple(map(self._merge, zip(*results)))
        return self._merge(results)

    def _merge(self, parts: Sequence[Tensor | None]) -> Tensor | None:
        tensors = [part for part in parts if part is not None]
        return torch.cat(tensors)[self._back] if len(tensors) == len(parts) else None


class ByTask(nn.ModuleList):
    """A batch-first module that is another one for each task.

    Args:
        groups: The tasks of the current batch.
        parts: The modules, by the task's number. Defaults to none.
    """

    def __init__(self, groups: TaskGroups, parts: Iterable[nn.Module] = ()) -> None:
        super().__init__(parts)
        self.groups = groups

    def forward(self, x: Tensor) -> Any:
        """Run each image of ``x``, ``(B, ...)``, through its task's module."""
        return self.groups.run(list(self), x)


class NoAdapter(nn.Module):
    """Stands for the adapter of a task that has none."""

    def forward(self, x: Tensor) -> Tensor:
        """Add nothing to the stream, ``(B, N, C)``."""
        return torch.zeros_like(x)


class AllActive(nn.Module):
    """Stands for the dispatcher of a task that has none."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keep every token of ``(B, N, C)``: mask and logits, both ``(B, N)``."""
        mask = x.new_ones(x.shape[:2], dtype=torch.bool)
        return mask, x.new_full(x.shape[:2], float("inf"))
