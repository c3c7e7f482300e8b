"""Write models as files of other runtimes, run these, and hold them to the original."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch import Tensor, nn

from mmdyt.fileio import atomic_path
from mmdyt.models.layers.decisions import ShiftedThreshold
from mmdyt.models.utils import collect_dispatch, dispatched_layers

META = "mmdyt"  # key of the metadata in both files
# Module by which a task is known, and the input that its models take.
TASKS = {
    "decode_head": ("segmentation", "(B, 3, H, W)"),
    "cls_head": ("recognition", "(B, T, 3, H, W)"),
    "head": ("classification", "(B, 3, H, W)"),
}

Function = Callable[[Tensor], Tensor]


class Logits(nn.Module):
    """A classifier, segmentor or recognizer as a function of preprocessed images.

    Args:
        model: A model of mmpretrain, mmsegmentation or mmaction2.

    Raises:
        ValueError: If it is none of these.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model
        found = [name for name in TASKS if hasattr(model, name)]
        if not found:
            raise ValueError(
                f"{type(model).__name__} is no classifier, segmentor or recognizer: not supported"
            )
        self.head = found[0]

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits.

        Args:
            images: ``(B, 3, H, W)``, or clips of frames, ``(B, T, 3, H, W)``.

        Returns:
            ``(B, classes)``, or ``(B, classes, H, W)`` of a segmentor.
        """
        if self.head == "cls_head":
            return self.model(images, stage="head", mode="tensor")
        logits = self.model(images, mode="tensor")
        if self.head == "decode_head":
            align = self.model.decode_head.align_corners
            logits = F.interpolate(logits, images.shape[-2:], mode="bilinear", align_corners=align)
        return logits


def describe_input(cfg: Config, model: nn.Module, shape: tuple[int, ...]) -> dict[str, Any]:
    """Say how an image becomes the input of an exported model.

    Args:
        cfg: The config, whose test pipeline tells of sizes.
        model: Its model, whose preprocessor tells of values.
        shape: Shape of a sample, ``(3, H, W)`` or ``(T, 3, H, W)``.

    Returns:
        ``task``, ``layout``, ``size`` (``[H, W]``), ``frames`` (or ``None``),
        ``short_edge`` (to which the image is resized before its centre, or a
        segmentor's windows, are cut out; ``None``: it is resized to ``size``),
        ``interpolation`` and the ``backend`` that did it, ``color`` (order of the
        channels), ``mean`` and ``std`` by channel, and ``classes``.
    """
    task, layout = TASKS[Logits(model).head]
    loader = cfg.get("test_dataloader") or cfg.get("val_dataloader") or {}
    dataset = loader.get("dataset") or {}
    steps = {step["type"].split(".")[-1]: step for step in dataset.get("pipeline") or []}
    resize = steps.get("ResizeEdge") or steps.get("Resize") or {}
    preprocessor: Any = getattr(model, "data_preprocessor", None)
    # mmcv reads images as BGR, decord reads videos as RGB, and sets of arrays hold RGB.
    swaps = any(getattr(preprocessor, name, False) for name in ("to_rgb", "_channel_conversion"))
    arrays = bool(steps) and not any(name.startswith("Load") for name in steps)
    is_rgb = swaps != (task == "recognition" or arrays)

    def channels(name: str, default: float) -> list[float]:
        values = getattr(preprocessor, name, None)
        return [default] * 3 if values is None else values.flatten().tolist()

    classes = (getattr(model, "dataset_meta", None) or dataset.get("metainfo") or {}).get("classes")
    return dict(
        task=task,
        layout=layout,
        size=list(shape[-2:]),
        frames=shape[0] if len(shape) == 4 else None,
        short_edge=_short_edge(resize, keeps_ratio=task == "recognition"),
        interpolation=resize.get("interpolation", "bilinear"),
        backend=resize.get("backend", "cv2"),
        color="RGB" if is_rgb else "BGR",
        mean=channels("mean", 0.0),
        std=channels("std", 1.0),
        classes=None if classes is None else list(classes),
    )


def _short_edge(resize: Mapping[str, Any], keeps_ratio: bool) -> int | None:
    """The short edge after a transform that keeps the shape, ``None`` if it does not."""
    scale = resize.get("scale")
    if isinstance(scale, int):
        return scale if str(resize["type"]).endswith("ResizeEdge") else None
    if not isinstance(scale, Sequence) or min(scale) == max(scale):
        return None
    if -1 in scale:  # mmaction2's: the other one is the short edge
        return max(scale)
    return min(scale) if resize.get("keep_ratio", keeps_ratio) else None


def write_onnx(
    program: torch.export.ExportedProgram, file: Path, meta: Mapping[str, Any] | None = None
) -> None:
    """Write an exported program as an ONNX file.

    Args:
        program: From ``images`` to ``logits``.
        file: A ``.onnx`` file.
        meta: Written as JSON under ``'mmdyt'`` in its metadata. Defaults to ``None``.
    """
    import onnx

    onnx_program = torch.onnx.export(
        program, dynamo=True, verbose=False, input_names=["images"], output_names=["logits"]
    )
    assert onnx_program is not None
    with atomic_path(file) as path:
        onnx_program.save(str(path), external_data=False)
        proto = onnx.load(path)
        onnx.helper.set_model_props(proto, {META: json.dumps(meta)})
        onnx.save(proto, path)


def trace(model: nn.Module, images: Tensor) -> torch.export.ExportedProgram:
    """Export a model for any batch size.

    Args:
        model: From images to logits.
        images: A batch of two or more.
    """
    shapes = ({0: torch.export.Dim("batch", min=1, max=4096)},)
    with torch.no_grad():
        return torch.export.export(model, (images,), dynamic_shapes=shapes)


def run_onnxruntime(file: Path, threads: int = 0) -> Function:
    """Open an ONNX file with onnxruntime on the CPU.

    Args:
        file: What :func:`write_onnx` wrote.
        threads: Defaults to 0: onnxruntime's choice.

    Returns:
        A function from images to logits.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Waiting threads would slow down whatever else runs in turns with it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def run_openvino(file: Path, threads: int = 0) -> Function:
    """Open an ONNX file with OpenVINO on the CPU, in float32 and for latency.

    Args:
        file: What :func:`write_onnx` wrote.
        threads: Defaults to 0: OpenVINO's choice.

    Returns:
        A function from images to logits.
    """
    import openvino

    config = dict(PERFORMANCE_HINT="LATENCY", INFERENCE_PRECISION_HINT="f32")
    if threads:
        config["INFERENCE_NUM_THREADS"] = str(threads)
    compiled = openvino.Core().compile_model(str(file), "CPU", config)
    return lambda images: torch.from_numpy(compiled(images.numpy())[0].copy())


@torch.no_grad()
def clear_decisions(model: nn.Module, images: Tensor, margin: float = 1e-4) -> Tensor:
    """Find the images on which no token's logit ties with what decides.

    Another runtime rounds otherwise, and may then activate another token.

    Args:
        model: A model, as :class:`Logits` takes it.
        images: Its input, ``(B, ...)``.
        margin: What counts as a tie. Defaults to 1e-4.

    Returns:
        ``(B,)``, bool.
    """
    layers = {name: m for name, m in model.named_modules() if m in dispatched_layers(model)}
    with collect_dispatch(model) as records:
        Logits(model)(images)
    clear = torch.ones(len(images), dtype=torch.bool)
    for record in records:
        if record.logits is not None:
            layer: Any = layers[record.module]
            decision = layer.fixed_decisions.get(record.branch, ShiftedThreshold(0.0))
            threshold = getattr(layer.dispatcher[record.branch], "threshold", None)
            if threshold is None:
                continue  # a dispatcher of others: what decides there is not known
            gaps = decision.margin(record.logits, threshold, record.num_prefix)  # (B * T,)
            clear &= gaps.view(len(images), -1).amin(dim=1) > margin
    return clear


def verify(functions: Mapping[str, Function], images: Tensor, clear: Tensor) -> None:
    """Hold all forms of a model to the logits of the first.

    Args:
        functions: From images to logits, by name.
        images: Their input, ``(B, ...)``.
        clear: Images that count, ``(B,)``, see :func:`clear_decisions`.

    Raises:
        ValueError: If one differs by more than 1e-3 of the largest logit.
    """
    first, *others = functions
    expected = functions[first](images)[clear]
    for name in others if len(expected) else ():
        difference = float((functions[name](images)[clear] - expected).abs().max())
        if not difference <= 1e-3 * max(1.0, float(expected.abs().max())):
            raise ValueError(f"{name} differs from {first} by {difference:.3g} in its logits")
