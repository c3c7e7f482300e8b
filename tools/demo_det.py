"""Detect items and blood cells with DyT and two baselines on a frozen ViT, and compare.

The scenes come with the repository: a small ViT pre-trained on Fashion-MNIST and
real items of it, which are pasted onto textures. The blood cells are real
photographs; with a clone of the public repository Shenggan/BCCD_Dataset in data/ and
the ViT-S/14 of `make photo-weights` they are detected too. Results and pictures go to
the work dir; a second run reuses what is there.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure
from mmengine.structures import InstanceData
from rich.console import Console

from mmdyt.datasets.fashion_detection import write_fashion_detection
from mmdyt.datasets.preflight import report
from mmdyt.datasets.voc import voc_to_coco
from mmdyt.engine.comparison import Result, compare, keep_comparison, print_comparison, throughput
from mmdyt.fileio import atomic_path
from mmdyt.models.utils import collect_dispatch
from mmdyt.visualization import draw_curves, draw_token_maps, read_scalars
from mmdyt.visualization.det_panel import Objects, draw_det_panel

METHODS = {"Linear probe": "linear", "AdaptFormer": "adaptformer", "DyT (r = 0.5)": "dyt"}
BCCD = Path("data/BCCD_Dataset/BCCD")
VIT_S14 = Path("data/photo_weights/vit-s14_saliency-tuned_518px.safetensors")
MIN_SCORE = 0.3  # of what the pictures show


@dataclass(frozen=True)
class Task:
    """What a comparison is about.

    Args:
        title: Of its table.
        config: Path of its configs with ``{}`` for the method.
        metrics: Names by key.
    """

    title: str
    config: str
    metrics: dict[str, str]


TASKS = {
    "scenes": Task(
        "Mask R-CNN over a frozen ViT of Fashion-MNIST: 800 scenes, tested on 200",
        "configs/detection/demo/{}_vit-mini_mask-rcnn_fashion-scenes.py",
        {"coco/bbox_mAP": "box mAP", "coco/segm_mAP": "mask mAP"},
    ),
    "blood-cells": Task(
        "Faster R-CNN over a frozen ViT-S/14: 292 photographs of blood cells, tested on 72",
        "configs/detection/demo/{}_vit-s14_faster-rcnn_blood-cells.py",
        {"coco/bbox_mAP": "box mAP", "coco/bbox_mAP_50": "box mAP at IoU 0.5"},
    ),
}


def write_blood_cells() -> bool:
    """Write the annotation lists of the photographs, if those and the ViT are there."""
    wanted = {
        BCCD / "ImageSets/Main/trainval.txt": f"clone github's Shenggan/BCCD_Dataset to "
        f"{BCCD.parent}",
        VIT_S14: f"`make photo-weights` fetches {VIT_S14}",
    }
    if missing := [how for path, how in wanted.items() if not path.exists()]:
        print(f"No blood cells: {'; '.join(missing)}")
        return False
    for split in ("trainval", "test"):
        content, wrong, odd = voc_to_coco(BCCD, split, ["RBC", "WBC", "Platelets"])
        if wrong:
            raise SystemExit(report(wrong, f"{BCCD}, {split}"))
        if odd:
            print(report(odd, f"{BCCD}, {split}"))
        with atomic_path(Path("data/bccd") / f"{split}.json") as path:
            path.write_text(json.dumps(content))
    return True


def objects(instances: InstanceData, scale: tuple[float, float]) -> Objects:
    """Take what a picture shows of one image's instances.

    Args:
        instances: Truth, or predictions, at whatever size.
        scale: Pixels of the picture a pixel of the instances, by width and height.
    """
    if "scores" in instances:
        instances = instances[instances.scores >= MIN_SCORE]
    boxes = instances.bboxes if torch.is_tensor(instances.bboxes) else instances.bboxes.tensor
    masks = instances.get("masks")
    if masks is not None:
        masks = masks.cpu().numpy() if torch.is_tensor(masks) else masks.to_ndarray().astype(bool)
    return Objects(
        (boxes.cpu() * boxes.new_tensor(scale * 2)).numpy(), instances.labels.cpu().numpy(), masks
    )


def draw(results: dict[str, Result], number: int = 5) -> dict[str, Figure]:
    """Draw the panels, the token maps of every layer and the curves."""
    dyt = results["DyT (r = 0.5)"]
    inputs, samples = dyt.first_samples(number)
    with torch.inference_mode(), collect_dispatch(dyt.model) as records:
        predictions = dyt.model.predict(inputs, samples, rescale=False)
    norm = dyt.model.data_preprocessor
    images = (inputs * norm.std + norm.mean).round().byte().permute(0, 2, 3, 1).numpy()
    truth = [objects(sample.gt_instances, sample.scale_factor) for sample in samples]
    predicted = [objects(sample.pred_instances, (1.0, 1.0)) for sample in predictions]
    meta = dyt.runner.test_dataloader.dataset.metainfo
    grid = dyt.model.backbone.patch_resolution
    curves = {"coco/bbox_mAP": "test box mAP", "activation_rate": "activation rate (training)"}
    logs = {name: read_scalars(result.work_dir) for name, result in results.items()}
    panels = draw_det_panel(
        images, truth, predicted, records, grid, meta["classes"], meta["palette"]
    )
    return {
        "panels.png": panels,
        "token_maps.png": draw_token_maps(images, records, grid),
        "curves.png": draw_curves(logs, {"task_loss": "training loss of the task"} | curves),
    }


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/demo-det"))
    work_dir = parser.parse_args().work_dir
    write_fashion_detection(Path("data/fashion_scenes"))
    names = ["scenes", "blood-cells"] if write_blood_cells() else ["scenes"]
    for name in names:
        task = TASKS[name]
        results = compare(METHODS, task.config, "coco/bbox_mAP", work_dir / name)
        inputs, _ = results["Linear probe"].first_samples(8)
        speed = throughput({title: result.model for title, result in results.items()}, inputs)
        (first, label), (second, other) = task.metrics.items()
        rows = print_comparison(task.title, results, speed, (first, label), "image")
        for row, (title, result) in zip(rows, results.items()):
            row[second] = result.metrics[second]
            Console().print(f"{title}: {other} {row[second]:.3f}")
        keep_comparison(work_dir / name, rows, draw(results))


if __name__ == "__main__":
    main()
