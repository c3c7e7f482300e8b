"""What a finished run's model does with its test images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import load_checkpoint
from rich.progress import track
from torch import nn

from mmdyt.engine.checkpoints import newest_checkpoint
from mmdyt.engine.work_dir import FinishedRun, read_json
from mmdyt.evaluation.model_cost import build_uninitialised
from mmdyt.models.utils import collect_dispatch, set_shift
from mmdyt.visualization.pictures import pictures_of
from mmdyt.visualization.text import class_name
from mmdyt.visualization.token_maps import token_maps_of

NUM_IMAGES = 6
NUM_FRAMES = 8
MAX_PREDICTIONS = 2000
LABELS = ("gt_label", "pred_label")


def load_run(run: FinishedRun) -> tuple[nn.Module, Any, Path]:
    """Load what a run trained, and the images that it was tested on.

    Args:
        run: The run.

    Returns:
        The model in evaluation mode, its test set, and the checkpoint.

    Raises:
        FileNotFoundError: If there is no checkpoint.
    """
    checkpoint = newest_checkpoint(run.work_dir) or run.work_dir / "adapter.safetensors"
    if not checkpoint.is_file():
        raise FileNotFoundError(f"{run.work_dir} holds no checkpoint any more")
    init_default_scope(run.config.get("default_scope", "mmpretrain"))
    model = build_uninitialised(run.config)
    load_checkpoint(model, str(checkpoint), map_location="cpu", logger="silent")
    model.eval()
    return model, DATASETS.build(run.config.test_dataloader.dataset), checkpoint


def read_budgets(work_dir: Path) -> dict[str, Any]:
    """Read a run's table of budgets.

    Args:
        work_dir: Work dir of the run.

    Returns:
        ``budgets.json``, with its ``points`` by ascending shift; no points where
        there is no such file.

    Raises:
        ValueError: If the file is no such table.
    """
    path = work_dir / "budgets.json"
    if not path.is_file():
        return dict(points=[])
    table = read_json(path)
    table = table if isinstance(table, dict) else dict(points=table)
    points = table.get("points")
    if not isinstance(points, list):
        raise ValueError(f"{path} is no table of budgets: it has no points")
    points = sorted((p for p in points if "shift" in p), key=lambda point: point["shift"])
    return table | dict(points=points)


@torch.inference_mode()
def token_maps(model: Any, dataset: Any, budgets: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Show which patches of some test images every layer computes.

    Args:
        model: A model with ``data_preprocessor`` and ``backbone``.
        dataset: Its test set, of images or of clips.
        budgets: Points of :func:`read_budgets`. The model as it was trained where there are none.

    Returns:
        ``images``, ``(H, W, 3)``, uint8 each; ``captions``; ``layers``, their names; and
        ``maps[budget][layer]``, ``(B, h, w)``, bool. An empty dict for a model without
        dispatchers.

    Raises:
        ValueError: If tokens form no grid over the image, as after merging, or the
            dispatchers have no logits whose shift would be a budget.
    """
    indices = np.linspace(0, len(dataset) - 1, min(NUM_IMAGES, len(dataset)), dtype=int)
    batch = pseudo_collate([dataset[index] for index in indices])
    data = model.data_preprocessor(batch, False)
    inputs, samples = data["inputs"], data["data_samples"]
    is_clip = inputs.ndim == 5  # (B, T, 3, H, W): one clip's frames
    pictures = inputs[0][:NUM_FRAMES] if is_clip else inputs
    captions = [""] * len(pictures)
    if not is_clip and "gt_label" in samples[0]:
        classes = dataset.metainfo.get("classes")
        predicted = model(inputs, samples, mode="predict")
        captions = [_caption(sample, classes) for sample in predicted]
    maps = []
    for point in budgets or [{}]:
        if point:
            set_shift(model, point["shift"])
        with collect_dispatch(model.backbone) as records:
            model.backbone(pictures)
        maps.append(token_maps_of(records, pictures.shape[-2:]))
    if budgets:
        set_shift(model, 0.0)
    layers = list(maps[0])
    if not layers:
        return {}
    return dict(
        # Videos decode to RGB.
        images=list(pictures_of(pictures, model.data_preprocessor, loads_rgb=is_clip)),
        captions=captions,
        layers=layers,
        maps=[list(by_layer.values()) for by_layer in maps],
    )


def _caption(sample: Any, classes: Sequence[str] | None) -> str:
    if any(sample.get(name) is None or sample.get(name).numel() != 1 for name in LABELS):
        return ""
    truth, said = (class_name(int(sample.get(name)), classes) for name in LABELS)
    return f"is {truth}, said {said}"


@torch.inference_mode()
def confusion(model: Any, dataset: Any, title: str) -> dict[str, Any]:
    """Count which class of the test images was taken for which.

    Args:
        model: A classifier of images or clips.
        dataset: Its test set; of a larger one, 2,000 evenly spaced samples count.
        title: Shown with the progress.

    Returns:
        ``matrix``, ``(K, K)``, int, truth by prediction; ``classes``, their names; and
        ``images``, how many of how many. An empty dict where samples have no single label.
    """
    size = min(len(dataset), MAX_PREDICTIONS)
    indices = np.linspace(0, len(dataset) - 1, size, dtype=int)
    counts: Counter = Counter()
    if "gt_label" not in dataset[0]["data_samples"]:  # not of a classifier
        return {}
    for start in track(range(0, size, 50), title, transient=True):
        batch = pseudo_collate([dataset[index] for index in indices[start : start + 50]])
        for sample in model.test_step(batch):
            labels = [sample.get(name) for name in LABELS]
            if any(label is None or label.numel() != 1 for label in labels):
                return {}
            counts[tuple(map(int, labels))] += 1
    names = dataset.metainfo.get("classes") or ()
    number = max(len(names), 1 + max(max(pair) for pair in counts))
    matrix = np.zeros((number, number), dtype=int)
    for pair, count in counts.items():
        matrix[pair] = count
    classes = [*names, *map(str, range(len(names), number))]
    return dict(matrix=matrix, classes=classes, images=f"{size:,} of {len(dataset):,} test samples")
