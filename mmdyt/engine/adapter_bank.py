"""Several tasks on one frozen backbone, mixed in one batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.model import ModuleDict
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmdyt.engine.adapter_checkpoint import load_adapter
from mmdyt.engine.bank_checks import TrunkFacts, require_same_trunk, require_separable
from mmdyt.models.layers.by_task import AllActive, ByTask, NoAdapter, TaskGroups
from mmdyt.models.utils import dispatched_layers


class AdapterBank(nn.Module):
    """Adapters, dispatchers and heads of several tasks on one frozen backbone.

    Every image of a batch names its task. Attention and MLPs run once on the
    whole batch, whatever the tasks; adapters, dispatchers and heads run on their
    own images. Logits are those of each task's own model up to rounding.

    Tasks are classifiers trained with ``tuning='peft'`` or ``'linear'`` on the
    same base. Adapters, dispatchers (also none) and heads may be of any class
    and size; everything else must be equal. The bank is for inference only.

    Args:
        adapters: Files of :func:`mmdyt.engine.adapter_checkpoint.save_adapter` by
            the name of their task. Defaults to none: see :meth:`add`.
        base: The pre-trained checkpoint of the frozen backbone. Defaults to
            ``None``: the paths that the files name.

    Attributes:
        tasks (list[str]): Names of the tasks.
        trunk (nn.Module): The backbone, with every task's adapters in place.
        models (nn.ModuleList): Each task's model without its backbone.

    Raises:
        TypeError: If ``adapters`` is no dict.
        ValueError: As :meth:`add`.
    """

    trunk: nn.Module
    _facts: TrunkFacts

    def __init__(
        self, adapters: Mapping[str, str | Path] | None = None, base: str | Path | None = None
    ) -> None:
        super().__init__()
        self.base = base
        self.tasks: list[str] = []
        self.models = nn.ModuleList()
        self._groups = TaskGroups()
        if not isinstance(adapters or {}, Mapping):
            raise TypeError(f"adapters must be a dict of files by task, got {adapters!r}")
        for task, adapter_file in (adapters or {}).items():
            self.add(task, adapter_file)

    @classmethod
    def from_folder(cls, folder: str | Path, base: str | Path | None = None) -> AdapterBank:
        """Load what ``tools/bank.py add`` put into a folder.

        Args:
            folder: Folder of ``<task>.safetensors``.
            base: As the constructor.

        Returns:
            The bank, its tasks in the order of their names.

        Raises:
            FileNotFoundError: If the folder has no such file.
        """
        return cls(bank_files(folder), base)

    def add(self, task: str, adapter_file: str | Path) -> None:
        """Add a task; the first one brings the backbone, later ones move to its device and dtype.

        Args:
            task: A new name.
            adapter_file: A file of :func:`mmdyt.engine.adapter_checkpoint.save_adapter`.

        Raises:
            ValueError: If the name is taken, empty or no text; as
                :func:`mmdyt.engine.adapter_checkpoint.load_adapter`; if the
                model is no classifier over a backbone of mmdyt, or trained more
                than adapters, dispatchers and its head; or if it has another
                backbone or was trained on another base than the bank's.
        """
        if not isinstance(task, str) or not task:
            raise ValueError(f"a task must have a name, a text that is not empty, got {task!r}")
        if task in self.tasks:
            raise ValueError(f"the bank has a task {task!r} already: {self.tasks}")
        model = load_adapter(adapter_file, self.base)
        require_separable(task, model)
        trunk = TrunkFacts.of(model)
        if self.tasks:
            require_same_trunk(task, model, trunk, self.trunk, self._facts)
            first = next(self.trunk.parameters())
            model.to(first.device, first.dtype)
        else:
            self.trunk, self._facts = model.backbone, trunk
        backbone = model.backbone
        for layer, own in zip(dispatched_layers(self.trunk), dispatched_layers(backbone)):
            own_parts = [(dict(own.adapter), NoAdapter), (dict(own.dispatcher), AllActive)]
            for table, (parts, absent) in zip((layer.adapter, layer.dispatcher), own_parts):
                if not self.tasks:
                    table.clear()
                self._join(table, parts, absent)
                for part in parts.values():
                    if hasattr(part, "grid"):  # it was that of the task's own backbone
                        part.attach(layer, self.trunk)
        del model.backbone
        self.models.append(model)
        self.tasks.append(task)
        self.requires_grad_(False)
        self.eval()

    def _join(
        self, table: ModuleDict, parts: Mapping[str, nn.Module], absent: type[nn.Module]
    ) -> None:
        """Put one task's parts of a layer beside those of the tasks before it."""
        for name in {**table, **parts}:
            if name not in table:
                table[name] = ByTask(self._groups, [absent() for _ in self.tasks])
            table[name].append(parts[name] if name in parts else absent())

    def train(self, mode: bool = True) -> AdapterBank:
        """Refuse training, in which dispatchers decide with noise.

        Args:
            mode: ``False``, as :meth:`eval` gives it.

        Returns:
            The bank.

        Raises:
            ValueError: If ``mode`` is true.
        """
        if mode:
            raise ValueError("a bank is for inference only: train each task's own model")
        return super().train(False)

    def forward(self, images: Tensor, tasks: Sequence[str]) -> list[Tensor]:
        """Compute the logits of a mixed batch.

        Args:
            images: Preprocessed images, ``(B, 3, H, W)``.
            tasks: Name of each image's task, ``B`` of them.

        Returns:
            Logits of every image, ``(num_classes,)`` of its task.

        Raises:
            ValueError: If a task is not in the bank, there is not one an image, or
                there is no image.
        """
        logits: dict[int, Tensor] = {}
        for model, positions, features in self._features(images, tasks):
            logits.update(zip(positions, model.head(features)))
        return [logits[position] for position in range(len(images))]

    def predict(
        self,
        images: Sequence[Tensor],
        tasks: Sequence[str],
        data_samples: Sequence[DataSample] | None = None,
    ) -> list[DataSample]:
        """Classify a mixed batch, each image preprocessed as its task's were in training.

        Args:
            images: Images as ``PackInputs`` gives them, ``(3, H, W)`` each.
            tasks: Name of each image's task.
            data_samples: Receive the predictions. Defaults to ``None``: new ones.

        Returns:
            One sample an image, in order, with ``pred_label`` (a class of its
            task) and ``pred_score``.

        Raises:
            ValueError: As :meth:`forward`.
        """
        by_task = self._positions(images, tasks)
        samples = list(data_samples) if data_samples is not None else [DataSample() for _ in images]
        device = next(self.trunk.parameters()).device
        inputs: dict[int, Tensor] = {}
        for number, positions in by_task.items():
            model: Any = self.models[number]
            own = dict(
                inputs=[images[i] for i in positions], data_samples=[samples[i] for i in positions]
            )
            data = model.data_preprocessor.to(device)(own, False)
            inputs.update(zip(positions, data["inputs"]))
            for position, sample in zip(positions, data["data_samples"]):
                samples[position] = sample
        batch = torch.stack([inputs[position] for position in range(len(images))])
        for model, positions, features in self._features(batch, tasks):
            predicted = model.head.predict(features, [samples[i] for i in positions])
            for position, sample in zip(positions, predicted):
                samples[position] = sample
        return samples

    def _positions(self, images: Sequence | Tensor, tasks: Sequence[str]) -> dict[int, list[int]]:
        """Which images are of which task, by its number."""
        if len(images) == 0:
            raise ValueError("the batch has no image")
        if len(tasks) != len(images) or isinstance(tasks, str):
            raise ValueError(f"tasks must name one task an image, {len(images)}, got {tasks!r}")
        found: dict[int, list[int]] = {}
        for position, task in enumerate(tasks):
            if task not in self.tasks:
                raise ValueError(f"task {task!r} is not in the bank; choose from {self.tasks}")
            found.setdefault(self.tasks.index(task), []).append(position)
        return found

    def _features(
        self, images: Tensor, tasks: Sequence[str]
    ) -> Iterator[tuple[Any, list[int], tuple[Tensor, ...]]]:
        """Run the trunk, then give each task's model the features of its images."""
        groups = self._positions(images, tasks)
        self._groups.assign([self.tasks.index(task) for task in tasks], images.device)
        features = self.trunk(images)
        for number, positions in groups.items():
            model: Any = self.models[number]
            own = tuple(level[self._groups.indices[number]] for level in features)
            yield model, positions, model.neck(own) if model.with_neck else own


def bank_files(folder: str | Path) -> dict[str, Path]:
    """List the adapter files of a bank's folder by the name of their task.

    Raises:
        FileNotFoundError: If there are none.
    """
    files = {path.stem: path for path in sorted(Path(folder).glob("*.safetensors"))}
    if not files:
        raise FileNotFoundError(f"no bank in {folder}: it holds no <task>.safetensors")
    return files
