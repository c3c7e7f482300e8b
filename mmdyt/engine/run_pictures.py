"""What a finished run's model does with its test images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import load_checkpoint
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn

from mmdyt.engine.checkpoints import newest_checkpoint
from mmdyt.engine.work_dir import FinishedRun, read_json
from mmdyt.evaluation.model_cost import build_uninitialised
from mmdyt.models.utils import collect_dispatch, dispatched_layers
from mmdyt.ops import hard_sigmoid
from mmdyt.structures import DispatchRecord

NUM_IMAGES = 6
NUM_FRAMES = 8
MAX_PREDICTIONS = 2000
LABELS = ("gt_label", "pred_label")
# Attributes that tell of a preprocessor's change from BGR to RGB, by host.
TO_RGB = ("to_rgb", "_channel_conversion", "channel_conversion")


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


def read_budgets(work_dir: Path) -> list[dict[str, float]]:
    """Read the points of a run's table of budgets.

    Args:
        work_dir: Work dir of the run.

    Returns:
        The points of ``budgets.json`` by ascending shift, each with ``shift``; none
        where there is no such file.

    Raises:
        ValueError: If the file is no such table.
    """
    path = work_dir / "budgets.json"
    if not path.is_file():
        return []
    table = read_json(path)
    points = table.get("points") if isinstance(table, dict) else table
    if not isinstance(points, list):
        raise ValueError(f"{path} is no table of budgets: it has no points")
    return sorted((p for p in points if "shift" in p), key=lambda point: point["shift"])


@contextmanager
def shifted(model: nn.Module, shift: float) -> Iterator[None]:
    """Add a number to the logits of all dispatchers inside the context."""

    def decide(dispatcher: nn.Module, _args: tuple, out: tuple[Tensor, Tensor]) -> tuple:
        logits = out[1] + shift
        return hard_sigmoid(logits, dispatcher.threshold), logits  # type: ignore[arg-type]

    with ExitStack() as stack:
        for layer in dispatched_layers(model) if shift else ():
            for dispatcher in layer.dispatcher.values():
                stack.callback(dispatcher.register_forward_hook(decide).remove)
        yield


@torch.inference_mode()
def token_maps(model: Any, dataset: Any, budgets: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Show which patches of some test images every layer computes.

    Args:
        model: A model with ``data_preprocessor`` and ``backbone``.
        dataset: Its test set, of images or of clips.
        budgets: As :func:`read_budgets`. The model as it was trained where there are none.

    Returns:
        ``images``, ``(H, W, 3)``, uint8 each; ``captions``; ``layers``, their names; and
        ``maps[budget][layer]``, ``(B, h, w)``, bool. An empty dict for a model without
        dispatchers.

    Raises:
        ValueError: If tokens form no grid over the image, as after merging.
    """
    indices = np.linspace(0, len(dataset) - 1, min(NUM_IMAGES, len(dataset)), dtype=int)
    batch = pseudo_collate([dataset[index] for index in indices])
    data = model.data_preprocessor(batch, False)
    inputs, samples = data["inputs"], data["data_samples"]
    is_clip = inputs.ndim == 5  # (B, T, 3, H, W): one clip's frames
    pictures = inputs[0][:NUM_FRAMES] if is_clip else inputs
    shifts = [point["shift"] for point in budgets] or [0.0]
    maps, layers = [], []
    for shift in shifts:
        with shifted(model, shift), collect_dispatch(model.backbone) as records:
            model.backbone(pictures)
        layers = [f"layer {record.layer}, {record.branch}" for record in records]
        maps.append([_grid(record, pictures.shape[-2:]) for record in records])
    if not layers:
        return {}
    captions = ["" for _ in pictures]
    if not is_clip and "gt_label" in samples[0]:
        captions = [_caption(sample) for sample in model(inputs, samples, mode="predict")]
    return dict(
        images=_pictures(model, pictures, is_clip), captions=captions, layers=layers, maps=maps
    )


def _grid(record: DispatchRecord, size: Sequence[int]) -> NDArray:
    mask = record.mask[:, record.num_prefix :].bool().cpu().numpy()  # (B, h * w)
    rows = round((mask.shape[1] * size[0] / size[1]) ** 0.5)
    if rows == 0 or mask.shape[1] % rows:
        raise ValueError(f"the {mask.shape[1]} tokens of layer {record.layer} form no grid")
    return mask.reshape(len(mask), rows, -1)


def _pictures(model: Any, inputs: Tensor, is_clip: bool) -> list[NDArray]:
    """Undo the normalisation of images, ``(B, 3, H, W)``."""
    norm = model.data_preprocessor
    if getattr(norm, "mean", None) is not None:
        inputs = inputs * norm.std.view(-1, 1, 1) + norm.mean.view(-1, 1, 1)
    images = inputs.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    is_rgb = is_clip or any(getattr(norm, name, False) for name in TO_RGB)  # videos decode to RGB
    return list(images if is_rgb else images[..., ::-1])


def _caption(sample: Any) -> str:
    if any(sample.get(name) is None or sample.get(name).numel() != 1 for name in LABELS):
        return ""
    return f"is {int(sample.gt_label)}, said {int(sample.pred_label)}"


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
