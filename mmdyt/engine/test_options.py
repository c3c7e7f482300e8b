"""What ``tools/test.py`` adds to a config: pictures of predictions, test-time augmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from mmdyt.checks import check_choice

# How the visualisation hook of each library is told to draw every sample into a folder.
PICTURES: dict[str, Any] = {
    "mmpretrain": lambda out: dict(
        type="mmdyt.ImageVisualizationHook", enable=True, interval=1, out_dir=out, resize=224
    ),
    "mmaction": lambda out: dict(type="mmdyt.ClipVisualizationHook", out_dir=out),
    "mmseg": lambda out: dict(type="SegVisualizationHook", draw=True),
    "mmdet": lambda out: dict(type="DetVisualizationHook", draw=True, test_out_dir=out),
}
TTA_MODELS = {"mmpretrain": "AverageClsScoreTTA", "mmseg": "SegTTAModel"}
LABELS = ("LoadAnnotations", "mmdyt.CheckSegLabels")
MIRRORED = [dict(type="RandomFlip", prob=prob, direction="horizontal") for prob in (0.0, 1.0)]


def show_predictions(cfg: Config, folder: str) -> None:
    """Let the library's visualisation hook draw every test sample.

    Args:
        cfg: The config of a run, changed in place.
        folder: Where the pictures go; segmentation writes them below
            ``vis_data/vis_image`` there.

    Raises:
        ValueError: If the config's ``default_scope`` is none of the libraries, or
            detection would write over files: its pictures are called as the images.
    """
    scope = cfg.get("default_scope", "mmpretrain")
    check_choice("--show-dir with default_scope", scope, PICTURES)
    folder = str(Path(folder).resolve())  # mmdetection would put another one below its log
    if scope == "mmdet" and Path(folder).is_dir() and any(Path(folder).iterdir()):
        raise ValueError(f"--show-dir {folder} is not empty: choose a new folder")
    cfg.default_hooks = dict(cfg.get("default_hooks") or {}, visualization=PICTURES[scope](folder))
    if scope == "mmseg":
        backends = [dict(type="LocalVisBackend")]
        cfg.visualizer = dict(type="SegLocalVisualizer", vis_backends=backends, save_dir=folder)


def use_tta(cfg: Config) -> None:
    """Average the predictions of augmented copies of every test sample.

    The config's ``tta_model`` and ``tta_pipeline`` say how; classification and
    segmentation default to the image and its mirror image.

    Args:
        cfg: The config of a run, changed in place.

    Raises:
        ValueError: If the config has no ``tta_model`` or ``tta_pipeline`` and its
            library has no default.
    """
    scope = cfg.get("default_scope", "mmpretrain")
    if ("tta_model" not in cfg or "tta_pipeline" not in cfg) and scope not in TTA_MODELS:
        views = " (of a video, num_clips and ThreeCrop of the test pipeline set the views)"
        hint = views if scope == "mmaction" else ""
        raise ValueError(f"--tta needs tta_model and tta_pipeline in a config of {scope}{hint}")
    dataset = cfg.test_dataloader.dataset
    wrapper = cfg.get("tta_model") or dict(type=TTA_MODELS[scope])
    dataset.pipeline = cfg.get("tta_pipeline") or _mirrored(dataset.pipeline)
    cfg.model = ConfigDict(**wrapper, module=cfg.model)


def _mirrored(pipeline: list[dict]) -> list[dict]:
    """The pipeline with a flip before its labels are loaded, as predictions are flipped back."""
    *steps, pack = pipeline
    images = [step for step in steps if step["type"] not in LABELS]
    labels = [[step] for step in steps if step["type"] in LABELS]
    return [*images, dict(type="TestTimeAug", transforms=[MIRRORED, *labels, [pack]])]
