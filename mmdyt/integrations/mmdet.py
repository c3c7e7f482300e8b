"""Object detection and instance segmentation with mmdetection.

Load it with ``custom_imports = dict(imports=['mmdyt.integrations.mmdet'])``. It
needs ``requirements/detection.txt``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
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
from mmdet.structures import DetDataSample
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
            is there.
    """

    default_objective = DyTObjective(complete_weight=0.0, distill_weight=0.0)

    def __init__(self, *args, dyt: dict | None = None, tuning: str = "peft", **kwargs) -> None:
        super().__init__(*args, dyt=dyt, tuning=tuning, **kwargs)
        if self.objective.distill_weight and not self.logits_module:
            raise ValueError(
                f"model.dyt.distill_weight={self.objective.distill_weight} needs a classifier of "
                f"regions (roi_head...fc_cls), which {type(self).__name__} lacks: choose 0"
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

        Then heads of regions see ``test_cfg.rpn.max_per_img`` of them in every
        image, whatever the weights would propose.
        """
        host: Any = super()
        if batch_data_samples is not None:
            return host._forward(batch_inputs, batch_data_samples)
        height, width = batch_inputs.shape[-2:]
        shape = dict.fromkeys(("img_shape", "ori_shape", "batch_input_shape"), (height, width))
        samples = [DetDataSample(metainfo=shape) for _ in batch_inputs]
        model: Any = self
        proposal_cfg = (getattr(model, "test_cfg", None) or {}).get("rpn")
        if proposal_cfg is None:
            return host._forward(batch_inputs, samples)
        features = model.extract_feat(batch_inputs)
        dense = model.rpn_head(features)
        box = batch_inputs.new_tensor([[0, 0, width, height]])
        proposals = [InstanceData(bboxes=box.expand(proposal_cfg.max_per_img, 4)) for _ in samples]
        return dense, model.roi_head(features, proposals, samples)


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
