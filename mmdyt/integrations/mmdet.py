"""Object detection and instance segmentation with mmdetection.

Load it with ``custom_imports = dict(imports=['mmdyt.integrations.mmdet'])``. It
needs ``requirements/detection.txt``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib.util import find_spec
from typing import Any

# mmengine hides the text of an ImportError that a config's custom_imports meet.
if find_spec("mmdet") is None:
    raise RuntimeError(
        "detection needs mmdetection: make install EXTRAS=detection, or "
        "pip install -r requirements/detection.txt"
    )
if "mmdet.structures" in sys.modules and "mmcv.ops" not in sys.modules:
    raise RuntimeError(
        "mmdetection was imported before mmdyt could serve mmcv's operators (mmpretrain imports "
        "it where it is installed): import mmdyt first"
    )

from mmdet.datasets import CocoDataset
from mmdet.models.detectors import CascadeRCNN, MaskRCNN
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox2roi
from mmengine.fileio import get_local_path
from mmengine.logging import print_log
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmdyt.datasets.coco_checks import odd_boxes, wrong_references
from mmdyt.datasets.preflight import report
from mmdyt.models.algorithms import CompleteModelMixin, DyTObjective
from mmdyt.registry import DATASETS, MODELS


class DyTDetectorMixin(CompleteModelMixin):
    """Give a detector of mmdetection the loss and the frozen backbone of DyT.

    It fits every detector with a ``backbone``: ``class DyTRetinaNet(
    DyTDetectorMixin, RetinaNet)``. Whatever else the detector has (neck, heads,
    encoder and decoder, queries) trains. As in segmentation the loss is the
    host's on the dynamic model plus the rate loss, unless ``dyt`` says more.

    Distillation is that of the last classifier of regions, which two-stage
    detectors have; both passes then classify the regions that the complete model
    proposed and sampled.

    Args:
        *args: As the host class.
        dyt (dict | None): Targets and weights of the loss, see
            :class:`mmdyt.models.algorithms.DyTObjective`; ``complete_weight``
            and ``distill_weight`` default to 0 here. Defaults to ``None``.
        tuning (str): What trains in the backbone, see
            :func:`mmdyt.models.utils.set_trainable`. Defaults to ``'peft'``.
        **kwargs: As the host class.

    Raises:
        ValueError: If ``dyt.distill_weight`` is set and no classifier of regions
            is there, or its regions come about otherwise than those of
            ``StandardRoIHead`` and ``CascadeRoIHead``.
    """

    default_objective = DyTObjective(complete_weight=0.0, distill_weight=0.0)

    def __init__(self, *args, dyt: dict | None = None, tuning: str = "peft", **kwargs) -> None:
        super().__init__(*args, dyt=dyt, tuning=tuning, **kwargs)
        weight = self.objective.distill_weight
        if weight and not self.logits_module:
            raise ValueError(
                f"model.dyt.distill_weight={weight} needs a classifier of "
                f"regions (roi_head...fc_cls), which {type(self).__name__} lacks: choose 0"
            )
        roi_head: Any = getattr(self, "roi_head", None)
        if weight and not _samples_once(roi_head):
            raise ValueError(
                f"model.dyt.distill_weight={weight} needs a StandardRoIHead or CascadeRoIHead, "
                f"whose regions can be kept; model.roi_head.type={type(roi_head).__name__!r} "
                "samples others: choose 0"
            )

    @property
    def heads(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of all children and parameters beside the backbone."""
        assert isinstance(self, nn.Module)
        own = (*self.named_children(), *self.named_parameters(recurse=False))
        return tuple(name for name, _ in own if name != "backbone")

    @property
    def logits_module(self) -> str:  # type: ignore[override]
        """Name of the last classifier of regions, empty if there is none."""
        assert isinstance(self, nn.Module)
        names = [name for name, _ in self.named_modules()]
        found = [n for n in names if n.startswith("roi_head.") and n.endswith(".fc_cls")]
        return found[-1] if found else ""

    def loss(self, inputs: Tensor, data_samples: list, **kwargs) -> dict[str, Tensor]:
        """Compute all losses of a batch, see :class:`CompleteModelMixin`."""
        model: Any = self
        distills = self.objective.distill_weight > 0
        with _same_regions(model.roi_head, len(data_samples)) if distills else nullcontext():
            return super().loss(inputs, data_samples, **kwargs)

    def _forward(self, batch_inputs: Tensor, batch_data_samples: list | None = None) -> Any:
        """Run the network, also without data samples, as counting its FLOPs does.

        Then heads of regions see as many in every image as a test may have, whatever
        the weights would propose: classifiers ``test_cfg.rpn.max_per_img``, masks
        ``test_cfg.rcnn.max_per_img``.
        """
        host: Any = super()
        if batch_data_samples is not None:
            return host._forward(batch_inputs, batch_data_samples)
        height, width = batch_inputs.shape[-2:]
        shape = dict.fromkeys(("img_shape", "ori_shape", "batch_input_shape"), (height, width))
        samples = [DetDataSample(metainfo=shape) for _ in batch_inputs]
        model: Any = self
        test_cfg = getattr(model, "test_cfg", None) or {}
        if not test_cfg.get("rpn") or not hasattr(model, "roi_head"):
            return host._forward(batch_inputs, samples)
        features = model.extract_feat(batch_inputs)
        dense = model.rpn_head(features)
        box = batch_inputs.new_tensor([[0, 0, width, height]])

        def regions(count: int) -> list[Tensor]:
            return [box.expand(count, 4) for _ in samples]

        proposals = regions(test_cfg["rpn"].max_per_img)
        plain = StandardRoIHead.forward, CascadeRoIHead.forward
        if not _samples_once(model.roi_head) or type(model.roi_head).forward not in plain:
            instances = [InstanceData(bboxes=each) for each in proposals]
            return dense, model.roi_head(features, instances, samples)
        masked = regions(test_cfg["rcnn"].max_per_img)
        with _instead_of_forward(model.roi_head, _run_heads):
            return dense, model.roi_head(features, bbox2roi(proposals), bbox2roi(masked))


def _samples_once(roi_head: Any) -> bool:
    """Whether a head works on regions as mmdetection's two plain ones do."""
    return type(roi_head).loss in (StandardRoIHead.loss, CascadeRoIHead.loss)


def _run_heads(roi_head: Any, features: Any, boxes: Tensor, masked: Tensor) -> list[Any]:
    """Run the heads of all stages on regions, ``(R, 5)``, as a test does."""
    if isinstance(roi_head, CascadeRoIHead):
        stages = range(roi_head.num_stages)
        found = [roi_head._bbox_forward(stage, features, boxes) for stage in stages]
        if roi_head.with_mask:
            found += [roi_head._mask_forward(stage, features, masked) for stage in stages]
        return found
    found = [roi_head._bbox_forward(features, boxes)]
    return found + ([roi_head._mask_forward(features, masked)] if roi_head.with_mask else [])


@contextmanager
def _instead_of_forward(module: nn.Module, function: Callable[..., Any]) -> Iterator[None]:
    """Let a module's call run a function of it: what it costs counts as the module's."""
    module.forward = partial(function, module)  # type: ignore[method-assign]
    try:
        yield
    finally:
        del module.forward


@contextmanager
def _same_regions(roi_head: nn.Module, num_images: int) -> Iterator[None]:
    """Let a second pass work on the regions that the first one sampled."""
    samplers: Any = roi_head.bbox_sampler
    samplers = samplers if isinstance(samplers, list) else [samplers]
    sampled: list[Any] = []
    replayed = iter(sampled)

    def once(plain):
        def sample(*args, **kwargs):
            if len(sampled) == num_images * len(samplers):
                return next(replayed)
            sampled.append(plain(*args, **kwargs))
            return sampled[-1]

        return sample

    try:
        for sampler in samplers:
            sampler.sample = once(sampler.sample)
        yield
    finally:
        for sampler in samplers:
            del sampler.sample


@MODELS.register_module()
class DyTMaskRCNN(DyTDetectorMixin, MaskRCNN):
    """mmdetection's ``MaskRCNN``; without a mask head it is Faster R-CNN.

    Args:
        *args: As ``MaskRCNN``.
        **kwargs: As ``MaskRCNN`` and :class:`DyTDetectorMixin`.
    """


@MODELS.register_module()
class DyTCascadeRCNN(DyTDetectorMixin, CascadeRCNN):
    """mmdetection's ``CascadeRCNN``, with masks where its RoI head has them.

    Args:
        *args: As ``CascadeRCNN``.
        **kwargs: As ``CascadeRCNN`` and :class:`DyTDetectorMixin`.
    """


@DATASETS.register_module()
class CheckedCocoDataset(CocoDataset):
    """mmdetection's ``CocoDataset``, which looks through its annotation file first.

    Classes and categories that do not fit stop it with all their names. Boxes
    without area, boxes that leave their image and images without objects are
    logged and left to the host, which drops or cuts them. Missing images are
    found by ``mmdyt.PreflightHook``.

    Args:
        **kwargs: As ``CocoDataset``; the classes come from ``metainfo``.
    """

    def load_data_list(self) -> list[dict]:
        """Load the annotation file once, check it, and parse it as the host does.

        Raises:
            ValueError: With every annotation that does not fit, up to 20 in full.
        """
        with get_local_path(self.ann_file, backend_args=self.backend_args) as path:
            coco: Any = self.COCOAPI(path)
        if wrong := wrong_references(coco.dataset, self.metainfo["classes"]):
            raise ValueError(report(wrong, self.ann_file))
        if odd := odd_boxes(coco.dataset):
            print_log(report(odd, self.ann_file), logger="current", level=logging.WARNING)
        self.COCOAPI: Any = lambda _path: coco
        try:
            return super().load_data_list()
        finally:
            del self.COCOAPI
