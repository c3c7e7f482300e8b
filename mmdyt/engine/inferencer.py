"""Predictions and token maps of own files: what the inferencers of the task libraries share."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import count
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from numpy.typing import NDArray
from PIL.Image import Image, fromarray, registered_extensions
from PIL.ImageOps import exif_transpose

from mmdyt.checks import check_integer
from mmdyt.engine.cli import describe
from mmdyt.evaluation import BackbonePass, CostAccount, flops_of, observe_passes
from mmdyt.visualization.pictures import pictures_of
from mmdyt.visualization.token_maps import token_maps_of

LOADERS = ("LoadImageFromFile", "LoadAnnotations")


class UnreadableInputError(ValueError):
    """An input that the pipeline cannot read or decode."""


class BaseDyTInferencer(ABC):
    """Run the inferencer of a task library, and say what the dispatchers did.

    :func:`mmdyt.inferencer` makes one. The library's own inferencer, which reads
    files and batches them, is the attribute ``host``.

    Args:
        model: A trained model of mmdyt.
        test_pipeline: How a sample is read, as the pipeline of a test data set.
        device: Defaults to ``None``: a GPU where there is one.
    """

    scope: str
    # Channel order of what the pipeline loads.
    loads_rgb = False

    def __init__(
        self, model: BaseModel, test_pipeline: list[dict], device: str | None = None
    ) -> None:
        self.device = device or get_device()
        self.model: Any = model.to(self.device).eval()
        self.classes = (getattr(model, "dataset_meta", None) or {}).get("classes")
        self.account = CostAccount(self.model)
        # The hosts look for these by their bare names.
        steps = [
            dict(step, type=name)
            if (name := str(step["type"]).rpartition(".")[2]) in LOADERS
            else step
            for step in test_pipeline
        ]
        loader = dict(dataset=dict(pipeline=steps))
        config = Config(dict(model=dict(type=type(model).__name__), test_dataloader=loader))
        with DefaultScope.overwrite_default_scope(self.scope):
            self.host: Any = self.build_host(config)

    @abstractmethod
    def build_host(self, config: Config) -> Any:
        """Build the library's inferencer around ``self.model``."""

    @abstractmethod
    def as_result(self, sample: Any) -> dict[str, Any]:
        """Turn a data sample of the library into a prediction."""

    def __call__(
        self, inputs: Any, token_maps: bool = False, batch_size: int = 1
    ) -> list[dict[str, Any]]:
        """Predict.

        Args:
            inputs: A path, an image (of PIL, or a ``(H, W, 3)`` uint8 array in
                BGR; not for video), or a list of these. The path of a folder
                stands for its images, by name (not for video).
            token_maps: Whether to say what the dispatchers did. Inputs then run
                one by one, so that every number is that of one input. Defaults
                to ``False``.
            batch_size: Inputs at once where no token maps are wanted. Defaults
                to 1.

        Returns:
            One dict an input, of a folder's images also with their ``path``.
            Classification and video:

            - ``pred_scores``: scores of the classes, ``(K,)``
            - ``pred_label``, ``pred_score``: the best class and its score
            - ``pred_class``: its name, where the model knows the names of all classes

            Segmentation:

            - ``pred_sem_seg``: class of every pixel, ``(H, W)``, int

            With ``token_maps=True`` also, for ``P`` frames of a video, windows of
            slide inference, or 1:

            - ``activation_rate``: mean share of active patches, ``None`` of a
              model without dispatchers
            - ``gflops``: what was computed for this input
            - ``token_maps``: active patches by dispatcher, such as ``'mlp 0'``,
              ``(P, h, w)``, bool
            - ``images``: what the model saw, ``(P, H, W, 3)``, RGB, uint8

        Raises:
            UnreadableInputError: If an input is missing, cannot be decoded or is of
                another type, or an array has another shape or dtype.
            ValueError: If ``batch_size`` is below 1.
        """
        check_integer("batch_size", batch_size, "[1, inf)")
        listed = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        items = [_as_input(one, self.scope != "mmaction") for one in listed]
        alone = None if isinstance(inputs, (list, tuple)) else items[0]
        if isinstance(alone, str) and Path(alone).is_dir():
            files = self._files_of(Path(alone))
            named = zip(files, self(files, token_maps, batch_size))
            return [result | dict(path=file) for file, result in named]
        results: list[dict[str, Any]] = []
        with DefaultScope.overwrite_default_scope(self.scope), torch.inference_mode():
            if not token_maps:
                for data in self._read(items, batch_size):
                    results += map(self.as_result, self.host.forward(data))
                return results
            for data in self._read(items, 1):
                with observe_passes(self.model) as passes:
                    (sample,) = self.host.forward(data)
                results.append(self.as_result(sample) | self._dispatched(passes))
        return results

    def _files_of(self, folder: Path) -> list[str]:
        suffixes = registered_extensions()
        files = sorted(each for each in folder.iterdir() if each.suffix.lower() in suffixes)
        if self.scope == "mmaction" or not files:
            kind = "a folder" if self.scope == "mmaction" else "a folder without images"
            raise UnreadableInputError(f"{folder} is {kind}")
        return [str(file) for file in files]

    def _read(self, items: list, batch_size: int) -> Iterator[Any]:
        batches = self.host.preprocess(items, batch_size=batch_size)
        for start in count(step=batch_size):
            try:
                data = next(batches)
            except StopIteration:
                return
            except Exception as error:  # whatever a decoder raises, which may not say of what
                reason = describe(error)
                names = [one for one in items[start : start + batch_size] if isinstance(one, str)]
                if names and not any(name in reason for name in names):
                    reason = f"{', '.join(names)}: {reason}"
                raise UnreadableInputError(reason) from error
            yield data

    def scored(self, scores: Any) -> dict[str, Any]:
        """Prediction of a classifier from its scores, ``(K,)``."""
        scores = np.asarray(scores, dtype=np.float32)
        label = int(scores.argmax())
        result = dict(pred_scores=scores, pred_label=label, pred_score=float(scores[label]))
        if self.classes is None:
            return result
        if len(self.classes) != len(scores):
            warnings.warn(
                f"dataset_meta names {len(self.classes)} classes and the model has {len(scores)}: "
                "predictions have no pred_class",
                stacklevel=2,
            )
            return result
        return result | dict(pred_class=self.classes[label])

    def _dispatched(self, passes: list[BackbonePass]) -> dict[str, Any]:
        maps = [token_maps_of(one.records, one.images.shape[-2:]) for one in passes]
        joined = {name: np.concatenate([each[name] for each in maps]) for name in maps[0]}
        rates = [float(mask.mean()) for mask in joined.values()]
        return dict(
            activation_rate=sum(rates) / len(rates) if rates else None,
            gflops=sum(float(flops.sum()) for flops in flops_of(self.account, passes)) / 1e9,
            token_maps=joined,
            images=np.concatenate(
                [
                    pictures_of(one.images, self.model.data_preprocessor, self.loads_rgb)
                    for one in passes
                ]
            ),
        )


def _as_input(one: Any, loads_images: bool) -> str | NDArray:
    """What the host reads: a path as text, or a BGR array."""
    if isinstance(one, (str, PathLike)):
        return fspath(one)
    if loads_images and isinstance(one, Image):
        try:
            picture = exif_transpose(one)
            if picture.mode.startswith("I"):  # Pillow would cut 16 bits off at 255
                deep = np.asarray(picture)
                shift = 8 if picture.mode != "I" or deep.max() > 255 else 0
                picture = fromarray((deep >> shift).clip(0, 255).astype(np.uint8))
            picture = picture.convert("RGB")
        except Exception as error:  # Pillow decodes late, and raises whatever its plugins do
            name = getattr(one, "filename", "") or "an image of PIL"
            raise UnreadableInputError(f"{name}: {describe(error)}") from error
        one = np.ascontiguousarray(np.asarray(picture)[..., ::-1])
    if not loads_images or not isinstance(one, np.ndarray):
        takes = "a path, a PIL image or a BGR array" if loads_images else "the path of a video"
        raise UnreadableInputError(f"an input must be {takes}, got {type(one).__name__}")
    if one.ndim != 3 or one.shape[2] != 3 or one.size == 0 or one.dtype != np.uint8:
        raise UnreadableInputError(
            f"an image must be a BGR array of (H, W, 3), uint8, got {one.shape}, {one.dtype}"
        )
    return one
